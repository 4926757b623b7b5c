//! From a message to a frame, and back from a frame's body to a message.

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use crate::error::{DecodeError, EncodeError, Violation};
use crate::limits::PREFIX_LEN;
use crate::version::{CURRENT, MAGIC, Version, negotiate};

/// The number of `Hello` in both directions, for ever.
const HELLO: usize = 0;

/// One direction's messages.
pub(crate) trait Message<'a>: Serialize + Deserialize<'a> {
    /// Who says them.
    const SENDER: &'static str;
    /// Their names, by number.
    const NAMES: &'static [&'static str];

    /// This message's number.
    fn number(&self) -> usize;

    /// The length of what is copied as it is, to make room for it at once.
    fn bulk(&self) -> usize;

    /// The rules that its type alone does not enforce.
    fn check(&self) -> Result<(), Violation>;

    /// This message's name.
    fn name(&self) -> &'static str {
        Self::NAMES.get(self.number()).copied().unwrap_or("unknown")
    }
}

/// Appends `message` as one frame, or leaves `out` as it was.
#[inline]
pub(crate) fn encode<'a, M: Message<'a>>(
    message: &M,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    /// More than all fields of a message beside its bulk, so that one reservation does.
    const FIELDS_MAX: usize = 128;

    if let Err(violation) = message.check() {
        let message = message.name();
        return Err(EncodeError::Violation { message, violation });
    }
    let start = out.len();
    out.reserve(PREFIX_LEN + FIELDS_MAX + message.bulk());
    out.extend_from_slice(&[0; PREFIX_LEN]);
    if let Err(source) = postcard::serialize_with_flavor(message, Append(out)) {
        out.truncate(start);
        let message = message.name();
        return Err(EncodeError::Serialize { message, source });
    }
    set_prefix(out, start);
    Ok(())
}

/// Writes the length of the body that begins behind the prefix at `start`.
fn set_prefix(out: &mut [u8], start: usize) {
    // The checked limits keep every body far below u32::MAX.
    let len = u32::try_from(out.len() - start - PREFIX_LEN).unwrap_or(u32::MAX);
    if let Some(prefix) = out.get_mut(start..start + PREFIX_LEN) {
        prefix.copy_from_slice(&len.to_le_bytes());
    }
}

/// Reads the message that `body` consists of.
#[inline]
pub(crate) fn decode<'a, M: Message<'a>>(body: &'a [u8]) -> Result<M, DecodeError> {
    if !matches!(body.first(), Some(1..=0x7f)) {
        // It may be Hello, or not a message at all.
        check_start::<M>(body)?;
    }
    let (message, rest) =
        postcard::take_from_bytes::<M>(body).map_err(|source| explain::<M>(body, source))?;
    // Later minor versions may append fields to Hello, which is sent before it is
    // known what the other side can read. Nothing else is sent unasked.
    if !rest.is_empty() && message.number() != HELLO {
        let (message, count) = (message.name(), rest.len());
        return Err(DecodeError::TrailingBytes { message, count });
    }
    if let Err(violation) = message.check() {
        let message = message.name();
        return Err(DecodeError::Violation { message, violation });
    }
    Ok(message)
}

/// Looks at what is to be right before the rest is looked at.
#[cold]
fn check_start<'a, M: Message<'a>>(body: &'a [u8]) -> Result<(), DecodeError> {
    let (number, name, fields) = number::<M>(body)?;
    if number == HELLO {
        check_greeting(name, fields)?;
    }
    Ok(())
}

/// Why `body` is not a message.
#[cold]
fn explain<'a, M: Message<'a>>(body: &'a [u8], source: postcard::Error) -> DecodeError {
    match number::<M>(body) {
        Ok((_, message, _)) => DecodeError::Malformed { message, source },
        Err(error) => error,
    }
}

/// The number that `body` begins with, its name, and what follows.
fn number<'a, M: Message<'a>>(
    body: &'a [u8],
) -> Result<(usize, &'static str, &'a [u8]), DecodeError> {
    let (number, fields) = postcard::take_from_bytes::<u32>(body).map_err(malformed("unnamed"))?;
    let index = usize::try_from(number).unwrap_or(usize::MAX);
    match M::NAMES.get(index) {
        Some(name) => Ok((index, name, fields)),
        None => Err(unknown::<M>(number)),
    }
}

/// Looks at the part of `Hello` that is the same in all major versions.
fn check_greeting(name: &'static str, fields: &[u8]) -> Result<(), DecodeError> {
    let (found, fields) = postcard::take_from_bytes::<[u8; 4]>(fields).map_err(malformed(name))?;
    if found != MAGIC {
        return Err(DecodeError::BadMagic { found });
    }
    let (theirs, _) = postcard::take_from_bytes::<Version>(fields).map_err(malformed(name))?;
    negotiate(CURRENT, theirs)?;
    Ok(())
}

fn malformed(message: &'static str) -> impl Fn(postcard::Error) -> DecodeError {
    move |source| DecodeError::Malformed { message, source }
}

#[cold]
fn unknown<'a, M: Message<'a>>(number: u32) -> DecodeError {
    DecodeError::UnknownMessage {
        sender: M::SENDER,
        number,
        last: u32::try_from(M::NAMES.len() - 1).unwrap_or(u32::MAX),
    }
}

/// Serializes to the end of a vector.
struct Append<'v>(&'v mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();

    #[inline]
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Bytes written as one piece; serde by itself writes a slice item by item. Both
/// lie alike in the frame.
pub(crate) mod byte_string {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<&'de [u8], D::Error> {
        <&[u8]>::deserialize(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message that fails after some of it was written.
    #[derive(Deserialize)]
    struct Failing;

    impl Serialize for Failing {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            use serde::ser::{Error, SerializeTuple};

            to.serialize_tuple(2)?.serialize_element(&7_u8)?;
            Err(S::Error::custom("no more"))
        }
    }

    impl Message<'_> for Failing {
        const SENDER: &'static str = "nobody";
        const NAMES: &'static [&'static str] = &["Failing"];

        fn number(&self) -> usize {
            0
        }

        fn bulk(&self) -> usize {
            0
        }

        fn check(&self) -> Result<(), Violation> {
            Ok(())
        }
    }

    #[test]
    fn what_fails_half_way_leaves_no_half_frame() {
        let mut out = b"before".to_vec();
        assert_eq!(
            encode(&Failing, &mut out),
            Err(EncodeError::Serialize {
                message: "Failing",
                source: postcard::Error::SerdeSerCustom
            })
        );
        assert_eq!(out, b"before");
    }
}
