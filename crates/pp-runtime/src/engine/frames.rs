//! What comes over a link, frame by frame.

use pp_proto::{FrameDecoder, ProtocolError, limits};

use super::node::Parting;
use crate::net::Link;

/// The decoder of a link.
#[derive(Debug)]
pub(super) struct Frames {
    decoder: FrameDecoder,
    /// Spare room for what comes.
    inbox: Vec<u8>,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            decoder: FrameDecoder::new(limits::FRAME_MAX),
            inbox: Vec::new(),
        }
    }
}

impl Frames {
    /// Hands each frame that has come to `take`.
    ///
    /// # Errors
    /// What `take` returns, or the end of the link after all that came before it.
    pub(super) fn take_each(
        &mut self,
        link: &Link,
        mut take: impl FnMut(&[u8]) -> Result<(), Parting>,
    ) -> Result<(), Parting> {
        self.inbox.clear();
        link.take(&mut self.inbox);
        let mut input = self.inbox.as_slice();
        while let Some(body) = self.decoder.next(&mut input).map_err(ProtocolError::from)? {
            take(body)?;
        }
        match link.ended() {
            Some(end) => Err(end.into()),
            None => Ok(()),
        }
    }
}
