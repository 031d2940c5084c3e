//! Who is here, and what they say to each other.

use std::collections::BTreeMap;
use std::error::Error;

use serde::{Deserialize, Serialize};
use wsloop::{
    Answer, Close, CloseCode, Handler, IncomingRequest, Message, Peer, PeerId, PeerMap, Peers,
    Refusal, Response, SharedMessage,
};

/// Names and texts come from people, and have limits. So does what is parsed to find them.
const MAX_NAME_CHARS: usize = 32;
const MAX_TEXT_CHARS: usize = 1000;
pub(crate) const MAX_MESSAGE_SIZE: u64 = 8 * 1024;

/// Whoever signs in is told who is here, so that there is a limit to that as well.
pub(crate) const MAX_PEOPLE: usize = 1000;

const SIGNED_IN_ELSEWHERE: CloseCode = CloseCode::new(4001).unwrap();

/// The topic of those who are signed in: others hear nothing.
pub(crate) const SIGNED_IN: &str = "signed in";

#[derive(Deserialize)]
struct SignIn {
    name: String,
}

#[derive(Deserialize)]
struct Say {
    to: Option<String>,
    text: String,
}

/// What happens: `{"event": "joined", "name": "Ada"}`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Event<'a> {
    /// The receiver is signed in, and this is who is here.
    Welcome { name: &'a str, people: Vec<&'a str> },
    /// Someone has signed in.
    Joined { name: &'a str },
    /// Someone is gone.
    Left { name: &'a str },
    /// Someone has said something: without `to`, to all.
    Said { from: &'a str, to: Option<&'a str>, text: &'a str },
    /// In seconds since 1970.
    Time { seconds: u64 },
    /// The receiver has sent what makes no sense.
    Error { message: &'a str },
}

#[derive(Default)]
pub(crate) struct Chat {
    people: BTreeMap<String, PeerId>,
    names: PeerMap<String>,
}

impl Handler for Chat {
    fn on_request(&mut self, peers: &mut Peers, request: &IncomingRequest<'_>) -> Answer {
        if request.offer().is_none() && request.path() == "/" {
            return Response::html(include_str!("chat.html")).into();
        }
        if peers.len() >= MAX_PEOPLE {
            return Refusal::Overloaded.into();
        }
        request.upgrade()
    }

    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
        let result = match self.names.get(peer.id()) {
            Some(name) => self.say(peer, name, message),
            None => self.sign_in(peer, message),
        };
        if let Err(error) = result {
            // Of JSON it says line and column. Nobody is disconnected for a mistake.
            let _ = peer.send_json(&Event::Error { message: &error.to_string() });
        }
    }

    fn on_close(&mut self, peer: &mut Peer<'_>, _: Close<'_>) {
        let Some(name) = self.names.remove(peer.id()) else { return };
        // Whoever has signed in elsewhere meanwhile is still here.
        if self.people.get(&name) == Some(&peer.id()) {
            self.people.remove(&name);
            let _ = peer.publish_json(SIGNED_IN, &Event::Left { name: &name });
        }
    }
}

impl Chat {
    fn sign_in(&mut self, peer: &mut Peer<'_>, message: Message<'_>) -> Result<(), Box<dyn Error>> {
        let SignIn { name } = message.json()?;
        let name = name.trim().to_owned();
        check(&name, MAX_NAME_CHARS)?;
        // What nobody sees, or the page says itself, would make one person look like another.
        let is_plain = |c: char| c.is_alphanumeric() || " -_.'".contains(c);
        if !name.chars().all(is_plain) || name.eq_ignore_ascii_case("everyone") {
            return Err("letters and digits, please, and nobody is everyone".into());
        }
        match self.people.insert(name.clone(), peer.id()) {
            Some(older) => peer.peers().close(older, SIGNED_IN_ELSEWHERE, "signed in elsewhere"),
            None => peer.publish_json(SIGNED_IN, &Event::Joined { name: &name })?,
        }
        peer.subscribe(SIGNED_IN);
        let people = self.people.keys().map(String::as_str).collect();
        peer.send_json(&Event::Welcome { name: &name, people })?;
        self.names.insert(peer.id(), name);
        Ok(())
    }

    fn say(
        &self,
        peer: &mut Peer<'_>,
        from: &str,
        message: Message<'_>,
    ) -> Result<(), Box<dyn Error>> {
        let Say { to, text } = message.json()?;
        check(&text, MAX_TEXT_CHARS)?;
        let said = Event::Said { from, to: to.as_deref(), text: &text };
        let Some(to) = &to else { return Ok(peer.peers().publish_json(SIGNED_IN, &said)?) };
        let receiver = *self.people.get(to).ok_or("there is nobody of that name")?;
        let said = SharedMessage::json(&said)?;
        peer.peers().send_shared(receiver, &said);
        if receiver != peer.id() {
            peer.send_shared(&said);
        }
        Ok(())
    }
}

/// Checks what somebody has typed.
fn check(text: &str, max_chars: usize) -> Result<(), String> {
    let is_fine = !text.trim().is_empty() && !text.contains(char::is_control);
    if is_fine && text.chars().count() <= max_chars {
        return Ok(());
    }
    Err(format!("1 to {max_chars} characters, please, and no control characters"))
}
