//! The log-in of IMAP, whose arguments come in three notations.
//!
//! Takes the client's bytes behind `LOGIN `; gives an [`ImapLogin`]. Reads no other command, and `AUTHENTICATE` is
//! [`super::credential::sasl`].

use std::borrow::Cow;

use super::credential::{Credential, MAX_INPUT};

/// How far an IMAP LOGIN was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImapLogin {
    /// Both arguments were read.
    Done {
        /// What they say.
        credential: Credential,
        /// Bytes that they took.
        used: usize,
    },
    /// More bytes are needed.
    More,
    /// Not two IMAP strings.
    Invalid,
}

/// The arguments of an IMAP `LOGIN` (RFC 9051 section 6.2.3): atoms, quoted strings or literals.
///
/// `arguments` begins after `LOGIN ` and may go on behind the command. Literals (`{4}`, `{4+}`) are expected in the
/// client's own stream, where their bytes follow the line end.
#[must_use]
pub fn imap_login(arguments: &[u8]) -> ImapLogin {
    match two_strings(arguments) {
        Ok((user, password, rest)) => {
            let credential = Credential::new("imap-login", Some(&user), Some(&password));
            ImapLogin::Done { credential, used: arguments.len() - rest.len() }
        }
        Err(outcome) => outcome,
    }
}

type Text<'a> = Cow<'a, [u8]>;

fn two_strings(arguments: &[u8]) -> Result<(Text<'_>, Text<'_>, &[u8]), ImapLogin> {
    let (user, rest) = imap_string(arguments)?;
    let rest = match rest.split_first() {
        Some((b' ', rest)) => rest,
        Some(_) => return Err(ImapLogin::Invalid),
        None => return Err(ImapLogin::More),
    };
    let (password, rest) = imap_string(rest)?;
    Ok((user, password, rest))
}

fn imap_string(input: &[u8]) -> Result<(Text<'_>, &[u8]), ImapLogin> {
    match input.split_first() {
        None => Err(ImapLogin::More),
        Some((b'"', rest)) => {
            let mut out = Vec::new();
            let mut bytes = rest.iter().enumerate();
            while let Some((at, &byte)) = bytes.next() {
                match byte {
                    b'"' => return Ok((Cow::Owned(out), rest.get(at + 1..).unwrap_or_default())),
                    b'\\' => match bytes.next() {
                        Some((_, &escaped)) => out.push(escaped),
                        None => return Err(ImapLogin::More),
                    },
                    b'\r' | b'\n' => return Err(ImapLogin::Invalid),
                    _ => out.push(byte),
                }
                if out.len() > MAX_INPUT {
                    return Err(ImapLogin::Invalid);
                }
            }
            Err(ImapLogin::More)
        }
        Some((b'{', rest)) => imap_literal(rest),
        Some(_) => {
            let end = input.iter().position(|&b| b <= b' ' || b"(){%*\"\\".contains(&b) || b == 0x7f);
            match end {
                Some(0) => Err(ImapLogin::Invalid),
                Some(end) if end <= MAX_INPUT => input
                    .split_at_checked(end)
                    .map(|(atom, rest)| (Cow::Borrowed(atom), rest))
                    .ok_or(ImapLogin::Invalid),
                None if input.len() <= MAX_INPUT => Err(ImapLogin::More),
                _ => Err(ImapLogin::Invalid),
            }
        }
    }
}

fn imap_literal(rest: &[u8]) -> Result<(Text<'_>, &[u8]), ImapLogin> {
    // Ten digits are enough for any length that is read.
    let Some(close) = rest.iter().take(12).position(|&b| b == b'}') else {
        let digits = rest.iter().all(|b| b.is_ascii_digit() || *b == b'+');
        return Err(if rest.len() < 12 && digits { ImapLogin::More } else { ImapLogin::Invalid });
    };
    let (number, rest) = rest.split_at_checked(close).ok_or(ImapLogin::Invalid)?;
    let number = number.strip_suffix(b"+").unwrap_or(number);
    let digits = !number.is_empty() && number.iter().all(u8::is_ascii_digit);
    let length = std::str::from_utf8(number).ok().filter(|_| digits).and_then(|n| n.parse::<usize>().ok());
    let length = length.filter(|&length| length <= MAX_INPUT).ok_or(ImapLogin::Invalid)?;
    let Some(text) = rest.strip_prefix(b"}\r\n") else {
        return Err(if b"}\r\n".starts_with(rest) { ImapLogin::More } else { ImapLogin::Invalid });
    };
    text.split_at_checked(length).map(|(literal, rest)| (Cow::Borrowed(literal), rest)).ok_or(ImapLogin::More)
}
