//! Descriptors in a Unix socket, each with one byte: a ring that means what all do.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Puts a descriptor into `stream`; never blocks.
pub(super) fn send(stream: &impl AsFd, file: &File) -> io::Result<()> {
    let descriptors = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    let byte = [IoSlice::new(&[1])];
    sendmsg(stream, &byte, &mut control, SendFlags::DONTWAIT)?;
    Ok(())
}

/// Takes bytes off `stream`, waiting for some if `wait` says so, and appends the
/// descriptors among them to `found`. Returns how many bytes there were.
pub(super) fn receive(
    stream: &impl AsFd,
    wait: bool,
    found: &mut VecDeque<OwnedFd>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut rings = [0u8; 256];
    let mut flags = close_on_exec();
    if !wait {
        flags |= RecvFlags::DONTWAIT;
    }
    let mut buffers = [IoSliceMut::new(&mut rings)];
    let received = recvmsg(stream, &mut buffers, &mut control, flags)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            found.extend(descriptors);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other(
            "a descriptor is lost: this process has as many open as it may",
        ));
    }
    Ok(received.bytes)
}

/// No program that a job starts is to inherit a descriptor.
fn close_on_exec() -> RecvFlags {
    #[cfg(not(target_vendor = "apple"))]
    return RecvFlags::CMSG_CLOEXEC;
    #[cfg(target_vendor = "apple")]
    return RecvFlags::empty();
}
