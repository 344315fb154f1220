//! Behind a TLS proxy: stunnel with the configuration that comes with the server.

use crate::harness::{PATIENCE, Server, free_port, scratch};
use crate::installed::{is_installed, skip};
use crate::tools::Tool;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

const CONFIGURATION: &str = include_str!("../../packaging/stunnel.conf");

/// Stunnel, which takes clients to a server; killed when dropped.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        // Both fail when it has ended, which is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Proxy {
    /// Runs the configuration with other ports and another certificate, in the foreground.
    fn start(port: u16, server: &Server, certificate: &Path) -> Self {
        let mut text = String::from("foreground = quiet\nsyslog = no\n") + CONFIGURATION;
        for (usual, here) in [
            ("accept = :::5556\n", format!("accept = 127.0.0.1:{port}\n")),
            ("connect = 127.0.0.1:5555\n", format!("connect = 127.0.0.1:{}\n", server.port)),
            ("cert = /etc/stunnel/chatserver.pem\n", format!("cert = {}\n", certificate.display())),
        ] {
            assert_eq!(text.matches(usual).count(), 1, "of {usual}");
            text = text.replace(usual, &here);
        }
        let path = certificate.with_extension("conf");
        fs::write(&path, text).expect("the configuration can be written");
        let mut command = Command::new("stunnel");
        command.arg(path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut proxy = Self(command.spawn().expect("it can be run"));
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let status = proxy.0.try_wait().expect("a child can be asked for");
            assert_eq!(status, None, "stunnel has ended");
            assert!(Instant::now() < deadline, "stunnel does not listen");
            thread::yield_now();
        }
        proxy
    }
}

/// Makes a key and a certificate for this machine, in one file.
fn certify(path: &Path) {
    let names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
    let status = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"])
        .args(["-addext", names, "-keyout"])
        .arg(path)
        .arg("-out")
        .arg(path)
        .stderr(Stdio::null())
        .status();
    assert!(status.expect("openssl can be run").success(), "no certificate");
}

/// A client that speaks TLS, and goes only by this certificate.
fn tls_client(port: u16, server: &Server, certificate: &Path) -> Tool {
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-quiet", "-verify_return_error", "-verify_ip", "127.0.0.1"])
        .args(["-connect", &format!("127.0.0.1:{port}"), "-CAfile"])
        .arg(certificate);
    Tool::run("openssl", command, server)
}

#[test]
fn clients_by_tls_and_plain_ones_chat_in_one_room() {
    for tool in ["stunnel", "openssl"] {
        if !is_installed(tool) {
            return skip(&format!("no {tool}"));
        }
    }
    let certificate = scratch("tls").join("chatserver.pem");
    certify(&certificate);
    let server = Server::start_with(&["--bind", "127.0.0.1"]);
    let plain = server.join();
    let port = free_port();
    let _proxy = Proxy::start(port, &server, &certificate);
    let [one, two] = [0; 2].map(|_| tls_client(port, &server, &certificate));
    for number in 0..100 {
        one.types(&format!("by TLS, {number}\n"));
        two.shows(&format!("by TLS, {number}"));
        plain.expect(format!("by TLS, {number}\n"));
        plain.say(format!("in plain, {number}\n"));
        one.shows(&format!("in plain, {number}"));
        two.shows(&format!("in plain, {number}"));
    }
    drop(one);
    server.wait_for_removals(1);
    two.types("alone by TLS\n");
    plain.expect("alone by TLS\n");
    server.stop();
}
