//! Doors to what nodes say to each other.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::Builder;

use super::data::Limits;
use super::giving::give;
use super::imports::fetch;
use crate::exports::Exports;
use crate::segments::{Carried, Part, Pool};

/// Room for all that either side says: nobody ever waits for the other to read.
const ROOM: usize = 4 << 20;

/// A node gets `size` bytes from one that says `said`, and no more; what it has got.
pub fn fetch_from(said: &[u8], size: u64) -> Option<Vec<u8>> {
    let pool = Pool::new(Some(0));
    let work = async {
        let (mut near, mut far) = duplex(ROOM);
        far.write_all(said).await.ok()?;
        far.shutdown().await.ok()?;
        let patience = Duration::from_secs(10);
        fetch(&mut near, [7; 16], size, &pool, patience).await.ok()
    };
    let runtime = Builder::new_current_thread().enable_time().build().ok()?;
    let got = runtime.block_on(work)?;
    Some(got.content().ok()?.to_vec())
}

/// A node that gives `content` hears `said`, in which its ticket may be; what it says.
pub fn give_to(said: impl FnOnce([u8; 16]) -> Vec<u8>, content: &[u8]) -> Option<Vec<u8>> {
    let pool = Pool::new(Some(0));
    let exports = Exports::default();
    let carried = Carried::new(&pool, content.to_vec().into());
    let said = said(exports.offer(Part::Carried(Arc::new(carried))).ok()?);
    let work = async {
        let (near, mut far) = duplex(ROOM);
        far.write_all(&said).await.ok()?;
        far.shutdown().await.ok()?;
        // It always ends: nothing more is said.
        let _ = give(near, &exports, Limits::default()).await;
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.ok()?;
        Some(heard)
    };
    let runtime = Builder::new_current_thread().enable_time().build().ok()?;
    runtime.block_on(work)
}
