//! How a freshly spawned worker gets hold of its line to the client.
//!
//! On Unix it finds the socket as its standard input, with the shared memory's
//! descriptor waiting in it. That is the one place where a child process can be
//! given a descriptor without a fork in the client. The worker moves it away
//! before any user code runs. On Windows the worker reads a port and a token from
//! its standard input and connects over loopback.

#[cfg(unix)]
pub(crate) use unix::{Invitation, join};
#[cfg(windows)]
pub(crate) use windows::{Invitation, join};

#[cfg(unix)]
mod unix {
    use std::collections::VecDeque;
    use std::fs::File;
    use std::io;
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::process::{ChildStdin, Stdio};

    use super::super::bell::{ParentBell, WorkerBell};
    use super::super::descriptors;
    use crate::shm::{Backing, SEGMENT_LEN, Segment};

    /// Descriptors below this are left to user code, which may close them in a
    /// loop or expect low numbers to be free.
    const HIGH_DESCRIPTOR: i32 = 200;

    /// The client's half of a line that waits for its worker.
    pub(crate) struct Invitation {
        ours: UnixStream,
        theirs: Option<UnixStream>,
        segment: Segment,
    }

    impl Invitation {
        /// Makes socket and shared memory, and puts the latter into the former.
        pub(crate) fn new() -> io::Result<Self> {
            let (ours, theirs) = UnixStream::pair()?;
            let memory = Backing::create("pp-ring", SEGMENT_LEN)?;
            descriptors::send(&ours, &memory)?;
            ours.set_nonblocking(true)?;
            Ok(Self {
                segment: Segment::map(&memory, SEGMENT_LEN)?,
                ours,
                theirs: Some(theirs),
            })
        }

        /// What the worker is to get as standard input.
        pub(crate) fn stdin(&mut self) -> Stdio {
            self.theirs
                .take()
                .map_or_else(Stdio::null, |s| Stdio::from(OwnedFd::from(s)))
        }

        /// Completes the line once the worker runs.
        #[allow(clippy::unnecessary_wraps)] // it can fail on Windows
        pub(crate) fn accept(
            self,
            _stdin: Option<ChildStdin>,
            _ended: &dyn Fn() -> bool,
        ) -> io::Result<(ParentBell, Segment)> {
            let stream = mio::net::UnixStream::from_std(self.ours);
            Ok((ParentBell::new(stream), self.segment))
        }
    }

    /// In the worker: takes the line from standard input.
    pub(crate) fn join() -> io::Result<(WorkerBell, Segment)> {
        let stdin = io::stdin();
        let socket = rustix::io::fcntl_dupfd_cloexec(stdin.as_fd(), high_descriptor())?;
        let nothing = File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(&nothing)?;
        let stream = UnixStream::from(socket);
        let memory = File::from(receive_descriptor(&stream)?);
        // The mapping stays; the descriptor goes, so that no write can hit it.
        let segment = Segment::map(&memory, SEGMENT_LEN)?;
        Ok((WorkerBell::new(stream)?, segment))
    }

    fn high_descriptor() -> i32 {
        use rustix::process::{Resource, getrlimit};
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(1024);
        // Leave room for the few descriptors that are opened after this one.
        let most = i32::try_from(limit.saturating_sub(16)).unwrap_or(i32::MAX);
        HIGH_DESCRIPTOR.min(most).max(3)
    }

    fn receive_descriptor(stream: &UnixStream) -> io::Result<OwnedFd> {
        let mut found = VecDeque::new();
        if descriptors::receive(stream, true, &mut found)? == 0 {
            return Err(io::Error::other("standard input is not a line to a client"));
        }
        found
            .pop_front()
            .ok_or_else(|| io::Error::other("no shared memory came with the line"))
    }
}

#[cfg(windows)]
mod windows {
    use std::io::{self, Read, Write};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::path::PathBuf;
    use std::process::{ChildStdin, Stdio};
    use std::time::{Duration, Instant};

    use super::super::bell::{ParentBell, WorkerBell};
    use crate::shm::{Backing, SEGMENT_LEN, Segment};

    const TOKEN_LEN: usize = 32;
    /// How long a worker may take to connect, and a stranger to say the token.
    const CONNECT_TIME: Duration = Duration::from_secs(60);
    const TOKEN_TIME: Duration = Duration::from_secs(5);
    const RETRY: Duration = Duration::from_millis(5);

    /// The client's half of a line that waits for its worker.
    pub(crate) struct Invitation {
        listener: TcpListener,
        token: [u8; TOKEN_LEN],
        path: PathBuf,
        /// Kept open until the worker has opened it too: it goes with its last handle.
        _file: std::fs::File,
        segment: Segment,
    }

    impl Invitation {
        /// Makes listener, token and shared memory.
        pub(crate) fn new() -> io::Result<Self> {
            let mut token = [0u8; TOKEN_LEN];
            getrandom::fill(&mut token).map_err(io::Error::other)?;
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            let (file, path) = Backing::create_named(SEGMENT_LEN)?;
            Ok(Self {
                listener,
                token,
                path,
                segment: Segment::map(&file, SEGMENT_LEN)?,
                _file: file,
            })
        }

        /// What the worker is to get as standard input.
        pub(crate) fn stdin(&mut self) -> Stdio {
            Stdio::piped()
        }

        /// Tells the worker where to connect, and waits until it has.
        pub(crate) fn accept(
            self,
            stdin: Option<ChildStdin>,
            ended: &dyn Fn() -> bool,
        ) -> io::Result<(ParentBell, Segment)> {
            let port = self.listener.local_addr()?.port();
            let token: String = self.token.iter().map(|b| format!("{b:02x}")).collect();
            if let Some(mut stdin) = stdin {
                writeln!(stdin, "{port} {token} {}", self.path.display())?;
            }
            let bell = self.connection(ended)?;
            let life_line = self.connection(ended)?;
            bell.set_nonblocking(true)?;
            let bell = ParentBell::new(mio::net::TcpStream::from_std(bell), life_line);
            Ok((bell, self.segment))
        }

        /// The worker's next connection; strangers are turned away.
        fn connection(&self, ended: &dyn Fn() -> bool) -> io::Result<TcpStream> {
            let deadline = Instant::now() + CONNECT_TIME;
            while Instant::now() < deadline {
                match self.listener.accept() {
                    Ok((stream, _)) if self.knows_token(&stream) => {
                        stream.set_nodelay(true)?;
                        return Ok(stream);
                    }
                    Ok(_) => {}
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                        if ended() {
                            return Err(io::Error::other("the worker ended before it connected"));
                        }
                        std::thread::sleep(RETRY);
                    }
                    Err(e) => return Err(e),
                }
            }
            Err(io::Error::other("the worker did not connect in time"))
        }

        fn knows_token(&self, mut stream: &TcpStream) -> bool {
            let mut said = [0u8; TOKEN_LEN];
            let timely = stream.set_nonblocking(false).is_ok()
                && stream.set_read_timeout(Some(TOKEN_TIME)).is_ok()
                && stream.read_exact(&mut said).is_ok()
                && stream.set_read_timeout(None).is_ok();
            // No early exit: the time tells nothing about the token.
            let differing = said
                .iter()
                .zip(self.token)
                .fold(0, |sum, (a, b)| sum | (a ^ b));
            timely && differing == 0
        }
    }

    /// In the worker: connects to where standard input says.
    pub(crate) fn join() -> io::Result<(WorkerBell, Segment)> {
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        let malformed = || io::Error::other("standard input does not name a client");
        let mut words = line.trim_end().splitn(3, ' ');
        let mut word = || words.next().ok_or_else(malformed);
        let port: u16 = word()?.parse().map_err(|_| malformed())?;
        let token = word()?.to_owned();
        let path = PathBuf::from(word()?);
        let token: Vec<u8> = (0..token.len() / 2)
            .filter_map(|i| u8::from_str_radix(token.get(2 * i..2 * i + 2)?, 16).ok())
            .collect();
        // Before the token goes out: afterwards the client lets go of the file.
        let file = Backing::open_named(&path, false)?;
        let bell = connect(port, &token)?;
        let life_line = connect(port, &token)?;
        Ok((
            WorkerBell::new(bell, life_line)?,
            Segment::map(&file, SEGMENT_LEN)?,
        ))
    }

    fn connect(port: u16, token: &[u8]) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.write_all(token)?;
        Ok(stream)
    }
}
