//! What other nodes may get from this one.

use std::collections::HashMap;
use std::fmt;
use std::io;

use pp_proto::Ticket;

use crate::segments::Part;
use crate::sync::Mutex;

/// What other nodes may get from this one, by ticket. A daemon has one, which its sessions
/// share.
#[derive(Default)]
pub struct Exports {
    parts: Mutex<HashMap<Ticket, Part>>,
}

/// Tickets are as secret as what is given for them.
impl fmt::Debug for Exports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exports({})", self.parts.lock().len())
    }
}

impl Exports {
    /// Lets `part` be got for the ticket that is returned, until that is withdrawn.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub(crate) fn offer(&self, part: Part) -> io::Result<Ticket> {
        let mut ticket = Ticket::default();
        getrandom::fill(&mut ticket).map_err(io::Error::other)?;
        self.parts.lock().insert(ticket, part);
        Ok(ticket)
    }

    /// Nobody may get it any more; who is getting it gets it whole.
    pub(crate) fn withdraw(&self, ticket: &Ticket) {
        let withdrawn = self.parts.lock().remove(ticket);
        // It may be the last that keeps its memory, which takes long to give back.
        drop(withdrawn);
    }

    /// What is given for a ticket.
    pub(crate) fn get(&self, ticket: &Ticket) -> Option<Part> {
        self.parts.lock().get(ticket).cloned()
    }
}

#[cfg(test)]
mod tests;
