//! `frostline serve`: lets other machines compute on a device of this one.

use super::lines::Line;
use super::{Failure, Outcome, interrupt, output, values};
use crate::train::remote::{Address, Server, Token};
use crate::train::{DeviceChoice, Opened, SelfTest};
use std::path::PathBuf;

/// What clients reach, and with which token.
#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    /// Where to listen; port 0 for a free one. Nothing is encrypted: leave it at this machine, and reach it through SSH
    #[arg(long, value_name = "HOST:PORT", default_value_t = Address::default())]
    pub listen: Address,
    /// auto, cpu, wgpu or wgpu:N
    #[arg(long, default_value = "auto", value_parser = values::device)]
    pub device: DeviceChoice,
    /// File with the token that clients must have [default: FROSTLINE_TOKEN, or the file in FROSTLINE_TOKEN_FILE]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

pub(super) fn serve(args: ServeArgs) -> Outcome {
    if matches!(args.device, DeviceChoice::Remote(_)) {
        return Err(Failure::Input("A server computes on a device of its own machine.".to_owned()));
    }
    let token = match &args.token_file {
        Some(file) => Token::read(file),
        None => Token::from_env(),
    };
    let token = token.map_err(Failure::Input)?;
    let opened = SelfTest::default().open(args.device, &mut |what| output::note(&format!("{what} …")));
    let Opened { device, info, notes } = opened.map_err(Failure::Input)?;
    notes.iter().chain(std::iter::once(&info.note)).filter(|note| !note.is_empty()).for_each(|note| output::note(note));
    let server = Server::bind(&args.listen, device, &token, output::note).map_err(Failure::Input)?;
    let address = server.address();
    if !Address::from(address).is_here() {
        output::note(&format!(
            "warning: {address} can be reached from other machines, and nothing is encrypted: token, pictures and weights \
             can be read and changed on their way. Better listen on 127.0.0.1 and use an SSH tunnel."
        ));
    }
    if args.json {
        output::json(&Line::Serving { address, device: &info.name, kind: &info.kind })?;
    } else {
        output::line(&format!("Listening on {address}, computing on {}", info.name))?;
    }
    server.serve(&interrupt::asked).map_err(Failure::Running)
}
