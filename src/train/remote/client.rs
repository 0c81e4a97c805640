//! The client: a device on a server.

use super::{Address, Token};
use crate::train::device::DeviceInfo;
use burn::remote::{ConnectError, RemoteHost};
use burn::tensor::Device;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// How long a server may take to answer at all. (Burn alone tries for 16 s, or as long as the system does.)
const REACH: Duration = Duration::from_secs(3);
/// How long it may take to open a session then.
const GREET: Duration = Duration::from_secs(10);

/// Connects to a server's device.
///
/// # Errors
/// A sentence that names host and port.
pub fn connect(address: &Address) -> Result<(Device, DeviceInfo), String> {
    let token = Token::from_env()?;
    reach(address)?;
    let device = open(address, &token)?;
    let open = "the connection is not encrypted: token, pictures and weights can be read on their way";
    let info = DeviceInfo {
        name: format!("{address} (remote)"),
        kind: "remote".to_owned(),
        api: String::new(),
        driver: String::new(),
        software: false,
        note: if address.is_here() { String::new() } else { open.to_owned() },
        refused: String::new(),
    };
    Ok((device, info))
}

/// Whether somebody listens there.
fn reach(address: &Address) -> Result<(), String> {
    let mut why = "the name stands for no address".to_owned();
    for socket in address.resolve()? {
        match TcpStream::connect_timeout(&socket, REACH) {
            Ok(_) => return Ok(()),
            Err(cause) => why = cause.to_string(),
        }
    }
    Err(format!("Nothing answers at {address} ({why}); start `frostline serve` there, or the tunnel to it."))
}

fn open(address: &Address, token: &Token) -> Result<Device, String> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    // Burn keeps one session for each address and credential as long as the process lives, a lost one too. The number
    // makes this a new one; the server takes it off.
    let credential = format!("{}\n{}", token.as_str(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let host = RemoteHost::websocket(&format!("ws://{address}")).with_credential(credential);
    let (sender, answer) = sync_channel(1);
    // What listens there may be mute, and burn waits for ever.
    let ask = move || {
        sender.send(Device::remote_options(&host).init()).ok();
    };
    let thread = std::thread::Builder::new().name("frostline-connect".to_owned()).spawn(ask);
    thread.map_err(|cause| format!("The connection to {address} cannot be opened: {cause}."))?;
    match answer.recv_timeout(GREET) {
        Ok(Ok(device)) => Ok(device),
        Ok(Err(ConnectError::Unauthorized)) => {
            Err(format!("The server at {address} refused the token: it has another one."))
        }
        Ok(Err(ConnectError::IncompatibleProtocol { .. })) => {
            Err(format!("The server at {address} is of another version of Frostline: both sides need the same."))
        }
        Ok(Err(cause)) => Err(format!("What answers at {address} is no Frostline server: {cause}.")),
        Err(_) => Err(format!("What answers at {address} is no Frostline server: it says nothing.")),
    }
}
