//! Brokers with TLS, and without MQTT 5.

use crate::ports;
use crate::rooms::{Rooms, sbin};
use anyhow::{Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

impl Rooms {
    /// A broker with the settings between machines, and what `change` makes of them. The
    /// certificates are in the rooms' folder, and `secret` is the password of relay-0 to relay-2.
    pub fn add_secured_broker(&mut self, change: impl FnOnce(String) -> String) -> Result<u16> {
        make_certificates(&self.folder)?;
        let folder = self.folder.display().to_string();
        self.add_broker(|settings| change(secured(&settings, &folder)))
    }

    /// A broker that has MQTT 3.1.1 only, or none where it is not installed.
    pub fn add_old_broker(&mut self) -> Result<Option<u16>> {
        if !Path::new(&sbin("nats-server")).exists() {
            println!("skipped: no nats-server");
            return Ok(None);
        }
        let (port, own_port) = (ports::free_port(), ports::free_port());
        let settings = format!(
            "server_name: broker\nhost: 127.0.0.1\nport: {own_port}\n\
             jetstream {{ store_dir: {:?} }}\nmqtt {{ host: 127.0.0.1, port: {port} }}\n",
            self.folder.join("nats")
        );
        fs::write(self.folder.join("nats.conf"), settings)?;
        self.add_other_broker(&format!("{} -c nats.conf", sbin("nats-server")), port);
        Ok(Some(port))
    }
}

/// The settings between machines: those lines that are comments in the file, in place of those for
/// one machine.
fn secured(settings: &str, folder: &str) -> String {
    let lines = settings.lines().filter(|line| !line.starts_with("listener"));
    let lines = lines.map(|line| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => setting,
        _ => line,
    });
    let text = lines.map(|line| line.to_owned() + "\n").collect::<String>();
    text.replace("allow_anonymous true\n", "")
        .replace("/etc/mosquitto/certs/", &format!("{folder}/"))
        .replace("/etc/mosquitto/", &format!("{folder}/"))
}

fn make_certificates(folder: &Path) -> Result<()> {
    let script = "
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority \
            -keyout ca.key -out ca.pem
        openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout broker.key -out broker.csr
        printf 'subjectAltName = DNS:localhost, IP:127.0.0.1' >names
        openssl x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile names -out broker.pem
        touch relays.passwd
        for name in relay-0 relay-1 relay-2; do mosquitto_passwd -b relays.passwd $name secret; done
        printf 'pattern write chat/room/%%u\\npattern read chat/room/+\\n' >relays.acl
        chmod 644 broker.key relays.*";
    let output = Command::new("sh").args(["-ec", script]).current_dir(folder).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
