//! lighttpd, through which clients come by WebSocket.

use anyhow::Result;
use load::contender::Server;
use load::{ports, room};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::{env, fs, io};

pub struct Lighttpd {
    pub process: Server,
    pub address: SocketAddrV4,
    /// Those that it has without clients.
    pub descriptors: usize,
}

impl Lighttpd {
    /// Starts it with these settings, but other ports; returns None where it is not installed.
    pub fn start(settings: &Path, server_port: u16) -> Result<Option<Self>> {
        let Ok(program) = which::which("lighttpd") else { return Ok(None) };
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, ports::free_port());
        let file = env::temp_dir().join(format!("soak-{}.conf", process::id()));
        fs::write(&file, with_ports(settings, address, server_port)?)?;
        let mut command = Command::new(program);
        let process = Server::start(command.arg("-D").arg("-f").arg(&file), Stdio::inherit())?;
        let first = room::connect_first(address);
        fs::remove_file(&file)?;
        let _first = first?;
        room::wait_for_accept(address.port());
        let descriptors = process.descriptors()? - 1;
        Ok(Some(Self { process, address, descriptors }))
    }
}

/// Settings in which these are included.
fn with_ports(settings: &Path, address: SocketAddrV4, server_port: u16) -> io::Result<String> {
    let (settings, ip, port) = (settings.canonicalize()?, address.ip(), address.port());
    Ok(format!(
        r#"
            include "{}"
            server.bind = "{ip}"
            server.port := {port}
            wstunnel.server := ("/room" => ("server" => (
                "host" => "{ip}", "port" => {server_port}, "disable-time" => 0
            )))
        "#,
        settings.display()
    ))
}
