//! Cutting a stream of bytes into frames.

use crate::grow;
use crate::limits::PREFIX_LEN;

/// The stream of bytes is not cut as it should be; it cannot be found into again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A frame claims to be longer than allowed. Nothing was kept for it.
    #[error("a frame of {len} bytes, where {max} are the most")]
    TooLong {
        /// The length that it claims.
        len: usize,
        /// The longest that is allowed at the moment.
        max: usize,
    },
    /// A frame without a body, such as zeroed memory seems to consist of.
    #[error("a frame without content")]
    Empty,
    /// The stream ended within a frame.
    #[error("the stream ended after {received} of {expected} bytes of a frame")]
    Truncated {
        /// Bytes of the frame that came, its length included.
        received: usize,
        /// Bytes that it has; of a frame whose length did not come, the length's own.
        expected: usize,
    },
}

/// Finds the frames in a stream that arrives in slices of any size.
///
/// Frames that lie whole in a slice are lent from there, without a copy. Of one that
/// does not, what has come is kept, so a decoder holds at most one frame.
#[derive(Debug)]
pub struct FrameDecoder {
    max: usize,
    /// Prefix and body of a frame that comes in pieces.
    partial: Vec<u8>,
    /// Whether `partial` was lent as complete and is to be dropped.
    lent: bool,
    failed: Option<FrameError>,
}

impl FrameDecoder {
    /// A decoder of frames whose bodies have at most `max` bytes:
    /// [`HANDSHAKE_MAX`](crate::limits::HANDSHAKE_MAX) at first,
    /// [`FRAME_MAX`](crate::limits::FRAME_MAX) where the peer is known.
    pub const fn new(max: usize) -> Self {
        Self {
            max,
            partial: Vec::new(),
            lent: false,
            failed: None,
        }
    }

    /// Changes the limit, for the frames after the one that was returned last, also
    /// where those lie in the same slice.
    pub const fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    /// Takes the next frame from the front of `input` and returns its body, or takes
    /// all of `input` and returns `None` because the frame goes on after it.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] or [`FrameError::Empty`], from then on for ever.
    pub fn next<'d, 'i: 'd>(
        &'d mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<&'d [u8]>, FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.lent {
            self.partial.clear();
            self.lent = false;
        }
        if self.partial.is_empty()
            && let Some((prefix, rest)) = input.split_first_chunk()
        {
            let len = self.length(*prefix)?;
            if let Some((body, rest)) = rest.split_at_checked(len) {
                *input = rest;
                return Ok(Some(body));
            }
        }
        self.collect(input)
    }

    /// To be called at the end of the stream.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] if that is within a frame, or what went wrong before.
    pub fn finish(&self) -> Result<(), FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let received = self.buffered();
        if received == 0 {
            return Ok(());
        }
        let expected = self
            .partial
            .first_chunk()
            .map_or(PREFIX_LEN, |prefix| PREFIX_LEN + as_len(*prefix));
        Err(FrameError::Truncated { received, expected })
    }

    /// Bytes that wait for the rest of their frame.
    pub fn buffered(&self) -> usize {
        if self.lent { 0 } else { self.partial.len() }
    }

    /// Adds to the frame that comes in pieces.
    fn collect(&mut self, input: &mut &[u8]) -> Result<Option<&[u8]>, FrameError> {
        self.take(PREFIX_LEN, usize::MAX, input);
        let Some(prefix) = self.partial.first_chunk() else {
            return Ok(None);
        };
        let whole = PREFIX_LEN + self.length(*prefix)?;
        self.take(whole, whole, input);
        if self.partial.len() < whole {
            return Ok(None);
        }
        self.lent = true;
        Ok(self.partial.get(PREFIX_LEN..))
    }

    /// Moves bytes from `input` until `partial` has `enough`, or there are no more.
    /// `partial` will have `total` in the end.
    fn take(&mut self, enough: usize, total: usize, input: &mut &[u8]) {
        let missing = enough.saturating_sub(self.partial.len());
        let (bytes, rest) = input.split_at(missing.min(input.len()));
        grow::append(&mut self.partial, bytes, total);
        *input = rest;
    }

    /// The length in `prefix`, if it is one that is allowed.
    fn length(&mut self, prefix: [u8; PREFIX_LEN]) -> Result<usize, FrameError> {
        let error = match as_len(prefix) {
            0 => FrameError::Empty,
            len if len > self.max => FrameError::TooLong { len, max: self.max },
            len => return Ok(len),
        };
        self.failed = Some(error);
        self.partial = Vec::new();
        Err(error)
    }
}

fn as_len(prefix: [u8; PREFIX_LEN]) -> usize {
    usize::try_from(u32::from_le_bytes(prefix)).unwrap_or(usize::MAX)
}
