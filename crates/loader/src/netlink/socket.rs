//! The socket: a request, and all that the kernel answers.

use super::NetlinkError;
use super::attributes::{Attributes, attributes};
use bpfsys::sys::sockopt::tell_netlink_errors;
use bpfsys::{Op, SysError};
use netlink_packet_core::{
    DecodeError, ErrorBuffer, NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP, NLM_F_DUMP_INTR,
    NLM_F_MULTIPART, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, connect,
    getsockname, recv, send, socket,
};
use std::os::fd::{AsRawFd, OwnedFd};

/// The bytes of the header of a message.
const NETLINK_HEADER_LEN: usize = 16;
/// `NLMSGERR_ATTR_MSG`
const ERROR_TEXT: u16 = 1;
/// How often a list that changes while it is read is asked for again.
const ROUNDS: u32 = 8;

/// A connection to the kernel's routing tables: interfaces and their traffic control.
///
/// It sees the network namespace that its thread was in when it was opened.
#[derive(Debug)]
pub struct Route {
    fd: OwnedFd,
    port: u32,
    sequence: u32,
}

/// One message of an answer.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: u16,
    pub(super) body: Vec<u8>,
}

/// A message to be sent: its number, a structure and attributes.
struct Request {
    kind: u16,
    body: Vec<u8>,
}

impl NetlinkSerializable for Request {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.body.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.body);
    }
}

impl Route {
    /// Opens one.
    ///
    /// # Errors
    /// The kernel's, where sockets of this kind are forbidden.
    pub fn open() -> Result<Self, NetlinkError> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )
        .map_err(NetlinkError::errno)?;
        // without it errors are only numbers
        let _told_less = tell_netlink_errors(&fd);
        let raw = fd.as_raw_fd();
        bind(raw, &NetlinkAddr::new(0, 0)).map_err(NetlinkError::errno)?;
        // the kernel; nobody else's messages are received then
        connect(raw, &NetlinkAddr::new(0, 0)).map_err(NetlinkError::errno)?;
        let own: NetlinkAddr = getsockname(raw).map_err(NetlinkError::errno)?;
        Ok(Self {
            fd,
            port: own.pid(),
            sequence: 0,
        })
    }

    /// Asks for a change; what the kernel tells of it, where `flags` ask for that.
    pub(super) fn change(
        &mut self,
        kind: u16,
        flags: u16,
        header: &[u8],
        body: Attributes,
    ) -> Result<Vec<Message>, NetlinkError> {
        self.send(kind, flags | NLM_F_ACK, header, body)?;
        self.receive().map(|(messages, _)| messages)
    }

    /// Asks for one thing.
    pub(super) fn ask(
        &mut self,
        kind: u16,
        header: &[u8],
        body: Attributes,
    ) -> Result<Vec<Message>, NetlinkError> {
        self.change(kind, 0, header, body)
    }

    /// Asks for a list.
    pub(super) fn list(&mut self, kind: u16, header: &[u8]) -> Result<Vec<Message>, NetlinkError> {
        for _ in 0..ROUNDS {
            self.send(kind, NLM_F_DUMP, header, Attributes::default())?;
            let (messages, changed) = self.receive()?;
            if !changed {
                return Ok(messages);
            }
        }
        Err(NetlinkError::KeepsChanging)
    }

    fn send(
        &mut self,
        kind: u16,
        flags: u16,
        header: &[u8],
        body: Attributes,
    ) -> Result<(), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut head = NetlinkHeader::default();
        head.flags = flags | NLM_F_REQUEST;
        head.sequence_number = self.sequence;
        let body = [header, &body.encode()?].concat();
        let payload = NetlinkPayload::InnerMessage(Request { kind, body });
        let mut message = NetlinkMessage::new(head, payload);
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        let sent = interrupted(|| send(self.fd.as_raw_fd(), &bytes, MsgFlags::empty()))?;
        if sent != bytes.len() {
            return Err(NetlinkError::TooLong);
        }
        Ok(())
    }

    /// The messages up to the end of the answer, and whether the list changed meanwhile.
    fn receive(&self) -> Result<(Vec<Message>, bool), NetlinkError> {
        let mut messages = Vec::new();
        let mut changed = false;
        loop {
            let datagram = self.datagram()?;
            let answer = Answer::read(&datagram, self.port, self.sequence, &mut messages)?;
            changed |= answer.changed;
            if answer.done {
                return Ok((messages, changed));
            }
        }
    }

    /// The next datagram, whatever its length.
    fn datagram(&self) -> Result<Vec<u8>, NetlinkError> {
        let raw = self.fd.as_raw_fd();
        let peek = MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC;
        let len = interrupted(|| recv(raw, &mut [], peek))?;
        let mut bytes = vec![0; len];
        let len = interrupted(|| recv(raw, &mut bytes, MsgFlags::MSG_TRUNC))?;
        if len == 0 || len > bytes.len() {
            return Err(NetlinkError::Malformed(format!(
                "a datagram of {len} bytes"
            )));
        }
        bytes.truncate(len);
        Ok(bytes)
    }
}

/// Repeats a call that a signal came before.
fn interrupted(mut call: impl FnMut() -> nix::Result<usize>) -> Result<usize, NetlinkError> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return other.map_err(NetlinkError::errno),
        }
    }
}

/// What a datagram says of the whole answer.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    done: bool,
    changed: bool,
}

impl Answer {
    /// Reads the messages of a datagram. Those to somebody else, or to an earlier request, are
    /// passed over.
    fn read(
        mut bytes: &[u8],
        port: u32,
        sequence: u32,
        messages: &mut Vec<Message>,
    ) -> Result<Self, NetlinkError> {
        let mut answer = Self::default();
        while !bytes.is_empty() {
            let message = NetlinkBuffer::new_checked(bytes).map_err(malformed)?;
            let len = usize::try_from(message.length()).unwrap_or(usize::MAX);
            bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
            if message.port_number() != port || message.sequence_number() != sequence {
                continue;
            }
            let flags = message.flags();
            answer.changed |= flags & NLM_F_MULTIPART != 0 && flags & NLM_F_DUMP_INTR != 0;
            match message.message_type() {
                NLMSG_ERROR => {
                    let error = ErrorBuffer::new_checked(message.payload()).map_err(malformed)?;
                    if let Some(code) = error.code() {
                        return Err(refused(code.get(), flags, error.payload()));
                    }
                    answer.done = true;
                }
                NLMSG_DONE => {
                    // a list that failed in the middle says so here
                    let code = message.payload().first_chunk().copied();
                    match code.map_or(0, i32::from_ne_bytes) {
                        code if code < 0 => return Err(refused(code, 0, &[])),
                        _ => answer.done = true,
                    }
                }
                kind => messages.push(Message {
                    kind,
                    body: message.payload().to_vec(),
                }),
            }
        }
        Ok(answer)
    }
}

fn malformed(error: DecodeError) -> NetlinkError {
    NetlinkError::Malformed(error.to_string())
}

/// An error with what the kernel says about it. Behind the code is the request, or only its
/// header, and then attributes.
fn refused(code: i32, flags: u16, rest: &[u8]) -> NetlinkError {
    let source = SysError::from_raw(Op::Netlink, code.saturating_abs());
    let request = match rest.first_chunk().copied().map(u32::from_ne_bytes) {
        _ if flags & NLM_F_CAPPED != 0 => NETLINK_HEADER_LEN,
        Some(len) => usize::try_from(len).unwrap_or(usize::MAX),
        None => usize::MAX,
    };
    let told = (flags & NLM_F_ACK_TLVS != 0)
        .then(|| rest.get(request.checked_next_multiple_of(4)?..))
        .flatten()
        .and_then(|told| attributes(told).ok())
        .unwrap_or_default();
    match told.iter().find(|attribute| attribute.kind == ERROR_TEXT) {
        Some(text) => NetlinkError::Told {
            message: String::from_utf8_lossy(text.text()).into_owned(),
            source,
        },
        None => NetlinkError::Refused(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of the kernel, of this type, to port 7, as the answer to request 3.
    fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
        let len = u32::try_from(NETLINK_HEADER_LEN + body.len()).unwrap();
        let mut bytes = len.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(3_u32.to_ne_bytes());
        bytes.extend(7_u32.to_ne_bytes());
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<(Answer, Vec<Message>), NetlinkError> {
        let mut messages = Vec::new();
        Answer::read(bytes, 7, 3, &mut messages).map(|answer| (answer, messages))
    }

    #[test]
    fn an_answer_ends_with_its_last_message() {
        let part = message(16, NLM_F_MULTIPART, b"abcde");
        let (answer, messages) = read(&[part.clone(), part.clone()].concat()).unwrap();
        assert_eq!((answer.done, messages.len()), (false, 2));
        assert_eq!(
            (messages[1].kind, &messages[1].body[..]),
            (16, &b"abcde"[..])
        );
        let done = message(NLMSG_DONE, NLM_F_MULTIPART, &[0; 4]);
        let (answer, messages) = read(&[part, done].concat()).unwrap();
        assert_eq!((answer.done, messages.len()), (true, 1));
        let (answer, _) = read(&message(NLMSG_ERROR, 0, &[0; 20])).unwrap();
        assert!(answer.done);
    }

    #[test]
    fn lists_that_changed_are_known_by_any_of_their_messages() {
        let part = message(16, NLM_F_MULTIPART | NLM_F_DUMP_INTR, &[]);
        assert!(read(&part).unwrap().0.changed);
    }

    #[test]
    fn what_was_not_asked_for_is_passed_over() {
        let mut late = message(16, 0, &[]);
        late[8] = 2;
        let mut other = message(16, 0, &[]);
        other[12] = 8;
        let (answer, messages) = read(&[late, other].concat()).unwrap();
        assert_eq!((answer, messages.len()), (Answer::default(), 0));
    }

    #[test]
    fn errors_come_with_the_words_of_the_kernel() {
        let words = Attributes::default()
            .text(ERROR_TEXT, "no way")
            .encode()
            .unwrap();
        let code = (-16_i32).to_ne_bytes();
        // the request, of 18 bytes, is between the code and the words
        let request = [&18_u32.to_ne_bytes()[..], &[0; 16]].concat();
        let whole = [&code[..], &request, &words].concat();
        let capped = [&code[..], &request[..16], &words].concat();
        for (flags, body) in [
            (NLM_F_ACK_TLVS, whole),
            (NLM_F_ACK_TLVS | NLM_F_CAPPED, capped),
        ] {
            let error = read(&message(NLMSG_ERROR, flags, &body)).unwrap_err();
            assert_eq!(error.to_string(), "no way");
            assert!(error.is(Errno::EBUSY));
        }
        let bare = read(&message(NLMSG_ERROR, 0, &[&code[..], &request].concat()));
        assert!(matches!(bare, Err(NetlinkError::Refused(_))));
        let in_the_middle = message(NLMSG_DONE, NLM_F_MULTIPART, &code);
        assert!(read(&in_the_middle).unwrap_err().is(Errno::EBUSY));
    }

    #[test]
    fn no_bytes_are_read_past() {
        let whole = message(NLMSG_ERROR, NLM_F_ACK_TLVS, &[0xff; 40]);
        for len in 1..whole.len() {
            assert!(read(&whole[..len]).is_err(), "{len}");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            // whatever comes, it comes
            let _answer = read(&bytes).map(|_| ());
        }
    }
}
