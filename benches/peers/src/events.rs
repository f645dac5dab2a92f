//! Endpoint events in the shape of Sysmon, Windows and auditd logs: everyday processes, with the
//! identifiers, hashes and paths that make each event different, about 1.3 KB of JSON each.
//!
//! Programs, options, registry keys and hosts are those of ordinary machines, so they share many
//! words with the rules (`powershell`, `-EncodedCommand`, `\CurrentVersion\Run`, `certutil`): the
//! generator is not kind to an index. One event in twenty is then changed until it satisfies the
//! positive side of a rule of its log source, chosen by chance.

use std::sync::Arc;

use satpam::rulebook::{AtomId, Comparison, Expr, Piece, Rulebook, Target, Test};
use serde_json::{Map, Value, json};

use crate::random::Random;

/// An event as it arrives, and where it comes from.
pub struct PeerEvent {
    pub json: String,
    pub source: &'static Source,
}

impl PeerEvent {
    /// Returns the event with its log source in three fields of its own.
    pub fn with_source(&self) -> String {
        let (product, category, service) = self.source;
        let source = json!({ "product": product, "category": category, "service": service });
        let source = source.to_string();
        format!("{},{}", &source[..source.len() - 1], &self.json[1..])
    }
}

/// Product, category and service of a log source.
pub type Source = (&'static str, Option<&'static str>, Option<&'static str>);

const fn sysmon(category: &'static str) -> Source {
    ("windows", Some(category), Some("sysmon"))
}

/// Where events of this comparison come from.
pub static SOURCES: [Source; 11] = [
    sysmon("process_creation"),
    sysmon("network_connection"),
    sysmon("file_event"),
    sysmon("registry_set"),
    sysmon("image_load"),
    sysmon("dns_query"),
    sysmon("process_access"),
    ("windows", Some("ps_script"), Some("powershell")),
    ("windows", None, Some("security")),
    ("linux", Some("process_creation"), Some("auditd")),
    ("platform", None, None),
];

/// Returns a source that lasts as long as the program.
pub fn source(number: usize) -> &'static Source {
    &SOURCES[number]
}

/// Generates events; every twentieth is made to satisfy a rule. No engine is asked about the others:
/// one in six matches some rule by chance.
pub fn endpoint(rulebook: &Rulebook, count: usize) -> Vec<PeerEvent> {
    let mut random = Random(13);
    (0..count)
        .map(|at| {
            let (number, mut event) = everyday(&mut random);
            let source = source(number);
            if at % 20 == 19 {
                satisfy_some_rule(rulebook, source, &mut event, &mut random);
            }
            PeerEvent { json: Value::Object(event).to_string(), source }
        })
        .collect()
}

fn everyday(random: &mut Random) -> (usize, Map<String, Value>) {
    match random.below(100) {
        0..38 => (0, process(random)),
        38..50 => (1, network(random)),
        50..60 => (2, file(random)),
        60..70 => (3, registry(random)),
        70..80 => (4, image_load(random)),
        80..85 => (5, dns(random)),
        85..89 => (6, process_access(random)),
        89..92 => (7, script(random)),
        92..95 => (8, logon(random)),
        _ => (9, linux_process(random)),
    }
}

const PROGRAMS: [(&str, &str, &str); 24] = [
    (r"C:\Windows\System32\svchost.exe", "svchost.exe", "Host Process for Windows Services"),
    (r"C:\Windows\System32\cmd.exe", "Cmd.Exe", "Windows Command Processor"),
    (r"C:\Windows\System32\conhost.exe", "CONHOST.EXE", "Console Window Host"),
    (
        r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe",
        "PowerShell.EXE",
        "Windows PowerShell",
    ),
    (r"C:\Program Files\Google\Chrome\Application\chrome.exe", "chrome.exe", "Google Chrome"),
    (
        r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
        "msedge.exe",
        "Microsoft Edge",
    ),
    (
        r"C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE",
        "WinWord.exe",
        "Microsoft Word",
    ),
    (r"C:\Program Files\Microsoft Office\root\Office16\EXCEL.EXE", "Excel.exe", "Microsoft Excel"),
    (r"C:\Windows\explorer.exe", "EXPLORER.EXE", "Windows Explorer"),
    (r"C:\Windows\System32\services.exe", "services.exe", "Services and Controller app"),
    (r"C:\Windows\System32\taskhostw.exe", "taskhostw.exe", "Host Process for Windows Tasks"),
    (r"C:\Windows\System32\rundll32.exe", "RUNDLL32.EXE", "Windows host process (Rundll32)"),
    (r"C:\Windows\System32\msiexec.exe", "msiexec.exe", "Windows installer"),
    (r"C:\Windows\System32\schtasks.exe", "schtasks.exe", "Task Scheduler Configuration Tool"),
    (r"C:\Windows\System32\reg.exe", "reg.exe", "Registry Console Tool"),
    (r"C:\Windows\System32\net.exe", "net.exe", "Net Command"),
    (r"C:\Windows\System32\wbem\WmiPrvSE.exe", "Wmiprvse.exe", "WMI Provider Host"),
    (r"C:\Windows\System32\certutil.exe", "CertUtil.exe", "CertUtil.exe"),
    (r"C:\Windows\System32\RuntimeBroker.exe", "RuntimeBroker.exe", "Runtime Broker"),
    (r"C:\Program Files\Git\cmd\git.exe", "git.exe", "Git for Windows"),
    (r"C:\Program Files\nodejs\node.exe", "node.exe", "Node.js JavaScript Runtime"),
    (r"C:\Windows\System32\wsqmcons.exe", "wsqmcons.exe", "Windows SQM Consolidator"),
    (
        r"C:\ProgramData\Microsoft\Windows Defender\Platform\4.18.24090.11-0\MpCmdRun.exe",
        "MpCmdRun.exe",
        "Microsoft Malware Protection Command Line Utility",
    ),
    (
        r"C:\Users\%USER%\AppData\Local\Microsoft\Teams\current\Teams.exe",
        "Teams.exe",
        "Microsoft Teams",
    ),
];

const USERS: [&str; 8] = [
    "alice",
    "bob.tan",
    "SYSTEM",
    "NETWORK SERVICE",
    "svc_backup",
    "j.smith",
    "dewi",
    "Administrator",
];

fn program(random: &mut Random) -> (String, &'static str, &'static str) {
    let (path, original, description) = PROGRAMS[random.below(PROGRAMS.len())];
    (path.replace("%USER%", USERS[random.below(USERS.len())]), original, description)
}

/// What ordinary machines run all day, with what changes from run to run.
fn command_line(random: &mut Random, program: &str) -> String {
    let name = program.rsplit('\\').next().unwrap_or_default().to_lowercase();
    let number = random.below(90_000) + 1_000;
    let arguments = match name.as_str() {
        "svchost.exe" => format!(
            "-k {} -p -s {}",
            random.pick(&[
                "netsvcs",
                "LocalService",
                "NetworkService",
                "DcomLaunch",
                "UnistackSvcGroup"
            ]),
            random.pick(&["Schedule", "BITS", "wuauserv", "Themes", "gpsvc", "WinRM", "Dnscache"])
        ),
        "cmd.exe" => match random.below(4) {
            0 => format!(
                r#"/c ""C:\build\{}\run.cmd" --target release > out_{number}.log 2>&1""#,
                random.word(5, 9)
            ),
            1 => "/d /s /c \"npm run build && echo done\"".to_owned(),
            2 => {
                format!("/c ping -n 3 127.0.0.1 >nul & del /q C:\\Temp\\{}.tmp", random.word(5, 9))
            }
            _ => format!("/c copy \\\\fileserver\\share\\{}\\*.docx %TEMP%", random.word(4, 8)),
        },
        "powershell.exe" => match random.below(4) {
            0 => format!(
                "-NoProfile -NonInteractive -ExecutionPolicy Bypass -File C:\\Scripts\\{}.ps1",
                random.word(5, 12)
            ),
            1 => format!(
                "-NoLogo -Command \"Get-ChildItem -Path C:\\Users\\{} -Recurse | Measure-Object -Property Length -Sum\"",
                USERS[random.below(8)]
            ),
            2 => format!(
                "-ep RemoteSigned -c \"& {{ Import-Module ActiveDirectory; Get-ADUser -Filter * -Properties LastLogon | Export-Csv C:\\Temp\\{number}.csv }}\""
            ),
            _ => "-WindowStyle Hidden -Command \"Get-Service | Where-Object Status -eq Running\""
                .to_owned(),
        },
        "chrome.exe" | "msedge.exe" | "teams.exe" => format!(
            "--type={} --field-trial-handle={number},i,{},{},262144 --lang=en-US --device-scale-factor=1 --num-raster-threads=4 --enable-main-frame-before-activation --renderer-client-id={} --time-ticks-at-unix-epoch=-17{} --launch-time-ticks={number} --mojo-platform-channel-handle={} /prefetch:1",
            random.pick(&["renderer", "gpu-process", "utility", "crashpad-handler"]),
            random.below(1 << 40),
            random.below(1 << 40),
            random.below(300),
            random.below(1 << 30),
            random.below(9_000)
        ),
        "winword.exe" | "excel.exe" => format!(
            r#"/n "C:\Users\{}\Documents\{} {number}.docx" /o """#,
            USERS[random.below(8)],
            random.word(5, 12)
        ),
        "rundll32.exe" => format!(
            "{} {}",
            random.pick(&[
                "shell32.dll,Control_RunDLL",
                "printui.dll,PrintUIEntry",
                r"C:\Windows\System32\edgehtml.dll,#141",
                "dfshim.dll,ShOpenVerbShortcut"
            ]),
            random.word(4, 9)
        ),
        "msiexec.exe" => format!(
            r#"/i "C:\Windows\ccmcache\{}\{}.msi" /qn /norestart REBOOT=ReallySuppress"#,
            random.hex(2),
            random.word(5, 12)
        ),
        "schtasks.exe" => {
            format!(r"/Query /TN \Microsoft\Windows\{} /FO LIST /V", random.word(5, 12))
        }
        "reg.exe" => format!(
            r"query HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\{} /v DisplayVersion",
            random.guid()
        ),
        "net.exe" => {
            random.pick(&["use", "view /all", "time \\\\dc01", "start wuauserv"]).to_owned()
        }
        "certutil.exe" => format!(
            "-hashfile C:\\Users\\{}\\Downloads\\{}.zip SHA256",
            USERS[random.below(8)],
            random.word(5, 12)
        ),
        "git.exe" => format!(
            "-c credential.helper= fetch --no-tags origin +refs/heads/{}:refs/remotes/origin/{number}",
            random.word(4, 9)
        ),
        "node.exe" => format!(
            r"C:\work\{}\node_modules\.bin\webpack --mode production --config webpack.{}.js",
            random.word(4, 9),
            random.word(3, 6)
        ),
        "mpcmdrun.exe" => {
            "SpynetServiceDss -RestrictPrivileges -AccessKey ".to_owned() + &random.hex(32)
        }
        _ => format!("-{} {number} -Embedding", random.word(3, 9)),
    };
    format!("\"{program}\" {arguments}")
}

/// What every Sysmon event carries.
fn common(random: &mut Random, channel: &str, event_id: u32) -> Map<String, Value> {
    let mut event = Map::new();
    let time = format!(
        "2026-03-{:02} {:02}:{:02}:{:02}.{:03}",
        1 + random.below(28),
        random.below(24),
        random.below(60),
        random.below(60),
        random.below(1000)
    );
    event.insert("EventID".into(), event_id.into());
    event.insert("Channel".into(), channel.into());
    event.insert("Provider_Name".into(), channel.trim_end_matches("/Operational").into());
    event.insert("Computer".into(), format!("WS-{}.corp.example.com", random.hex(6)).into());
    event.insert("UtcTime".into(), time.into());
    event.insert("RecordNumber".into(), (random.below(1 << 30) as u64).into());
    event.insert("ProcessGuid".into(), random.guid().into());
    event.insert("ProcessId".into(), (random.below(30_000) as u64).into());
    event.insert("RuleName".into(), "-".into());
    event
}

fn sysmon_event(random: &mut Random, event_id: u32) -> Map<String, Value> {
    common(random, "Microsoft-Windows-Sysmon/Operational", event_id)
}

fn hashes(random: &mut Random) -> String {
    format!(
        "SHA1={},MD5={},SHA256={},IMPHASH={}",
        random.hex(40),
        random.hex(32),
        random.hex(64),
        random.hex(32)
    )
}

fn user(random: &mut Random) -> String {
    format!("CORP\\{}", USERS[random.below(USERS.len())])
}

fn process(random: &mut Random) -> Map<String, Value> {
    let mut event = sysmon_event(random, 1);
    let (image, original, description) = program(random);
    let (parent, _, _) = program(random);
    let fields = [
        ("FileVersion", format!("10.0.{}.{}", 19_041 + random.below(9), random.below(4_000))),
        ("Description", description.to_owned()),
        ("Product", "Microsoft® Windows® Operating System".to_owned()),
        ("Company", "Microsoft Corporation".to_owned()),
        ("OriginalFileName", original.to_owned()),
        ("CommandLine", command_line(random, &image)),
        (
            "CurrentDirectory",
            random.pick(&[r"C:\Windows\system32\", r"C:\Users\alice\", r"C:\work\"]).to_owned(),
        ),
        ("User", user(random)),
        ("LogonGuid", random.guid()),
        ("LogonId", format!("0x{}", random.hex(6))),
        ("IntegrityLevel", random.pick(&["System", "Medium", "High", "Low"]).to_owned()),
        ("Hashes", hashes(random)),
        ("ParentProcessGuid", random.guid()),
        ("ParentCommandLine", command_line(random, &parent)),
        ("ParentUser", user(random)),
        ("ParentImage", parent),
        ("Image", image),
    ];
    event.extend(fields.map(|(name, value)| (name.to_owned(), value.into())));
    event.insert("TerminalSessionId".into(), (random.below(4) as u64).into());
    event.insert("ParentProcessId".into(), (random.below(30_000) as u64).into());
    event
}

fn network(random: &mut Random) -> Map<String, Value> {
    let mut event = sysmon_event(random, 3);
    let (image, ..) = program(random);
    let domain = format!(
        "{}.{}.{}",
        random.word(3, 8),
        random.word(5, 12),
        random.pick(&["com", "net", "microsoft.com", "windowsupdate.com", "akamaiedge.net"])
    );
    let fields = [
        ("Image", image),
        ("User", user(random)),
        ("Protocol", random.pick(&["tcp", "udp"]).to_owned()),
        ("Initiated", random.pick(&["true", "false"]).to_owned()),
        ("SourceIsIpv6", "false".to_owned()),
        (
            "SourceIp",
            format!("10.{}.{}.{}", random.below(256), random.below(256), random.below(256)),
        ),
        ("SourceHostname", format!("WS-{}.corp.example.com", random.hex(6))),
        ("SourcePortName", "-".to_owned()),
        ("DestinationIsIpv6", "false".to_owned()),
        (
            "DestinationIp",
            format!(
                "{}.{}.{}.{}",
                20 + random.below(180),
                random.below(256),
                random.below(256),
                random.below(256)
            ),
        ),
        ("DestinationHostname", domain),
        ("DestinationPortName", random.pick(&["https", "http", "domain", "-"]).to_owned()),
    ];
    event.extend(fields.map(|(name, value)| (name.to_owned(), value.into())));
    event.insert("SourcePort".into(), (random.below(60_000) as u64).into());
    event.insert(
        "DestinationPort".into(),
        (*random.pick(&[&443_u64, &80, &53, &389, &3389, &8080])).into(),
    );
    pad(random, &mut event, 550);
    event
}

fn file(random: &mut Random) -> Map<String, Value> {
    let mut event = sysmon_event(random, 11);
    let (image, ..) = program(random);
    let folder = random.pick(&[
        r"C:\Users\alice\AppData\Local\Temp\",
        r"C:\ProgramData\Microsoft\Windows\Start Menu\Programs\",
        r"C:\Windows\Prefetch\",
        r"C:\Windows\SoftwareDistribution\Download\",
        r"C:\Users\dewi\AppData\Local\Google\Chrome\User Data\Default\Cache\",
        r"C:\Users\bob.tan\Downloads\",
    ]);
    let extension =
        random.pick(&["tmp", "dll", "exe", "pf", "docx", "ps1", "log", "json", "lnk", "zip"]);
    event.insert("Image".into(), image.into());
    event.insert(
        "TargetFilename".into(),
        format!("{folder}{}_{}.{extension}", random.word(5, 14), random.hex(8)).into(),
    );
    event.insert("CreationUtcTime".into(), "2026-03-01 10:00:00.000".into());
    event.insert("User".into(), user(random).into());
    pad(random, &mut event, 700);
    event
}

fn registry(random: &mut Random) -> Map<String, Value> {
    let mut event = sysmon_event(random, 13);
    let (image, ..) = program(random);
    let key = random.pick(&[
        r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run\", r"HKLM\System\CurrentControlSet\Services\bam\State\UserSettings\",
        r"HKU\S-1-5-21-1004336348-1177238915-682003330-1001\SOFTWARE\Microsoft\Windows\CurrentVersion\Explorer\FileExts\",
        r"HKLM\SOFTWARE\Microsoft\Windows Defender\Signature Updates\", r"HKCR\CLSID\",
        r"HKLM\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate\AU\", r"HKLM\System\CurrentControlSet\Services\Tcpip\Parameters\Interfaces\",
    ]);
    event.insert("EventType".into(), "SetValue".into());
    event.insert("Image".into(), image.into());
    event.insert(
        "TargetObject".into(),
        format!("{key}{}\\{}", random.guid(), random.word(4, 12)).into(),
    );
    let details = match random.below(3) {
        0 => format!("DWORD (0x{:08x})", random.below(64)),
        1 => format!(r"%SystemRoot%\System32\{}.dll", random.word(4, 10)),
        _ => "Binary Data".to_owned(),
    };
    event.insert("Details".into(), details.into());
    event.insert("User".into(), user(random).into());
    pad(random, &mut event, 650);
    event
}

fn image_load(random: &mut Random) -> Map<String, Value> {
    let mut event = sysmon_event(random, 7);
    let (image, ..) = program(random);
    let dll = random.pick(&[
        "ntdll", "kernel32", "amsi", "wbemcomn", "dbghelp", "clr", "vaultcli", "taskschd",
        "rpcrt4", "bcrypt",
    ]);
    let fields = [
        ("Image", image),
        ("ImageLoaded", format!(r"C:\Windows\System32\{dll}.dll")),
        ("FileVersion", format!("10.0.19041.{}", random.below(4_000))),
        (
            "Description",
            random
                .pick(&[
                    "NT Layer DLL",
                    "Anti-Malware Scan Interface",
                    "WMI",
                    "Windows Image Helper",
                ])
                .to_owned(),
        ),
        ("Product", "Microsoft® Windows® Operating System".to_owned()),
        ("Company", "Microsoft Corporation".to_owned()),
        ("OriginalFileName", format!("{dll}.dll")),
        ("Hashes", hashes(random)),
        ("Signed", random.pick(&["true", "true", "true", "false"]).to_owned()),
        ("Signature", "Microsoft Windows".to_owned()),
        ("SignatureStatus", "Valid".to_owned()),
        ("User", user(random)),
    ];
    event.extend(fields.map(|(name, value)| (name.to_owned(), value.into())));
    pad(random, &mut event, 250);
    event
}

fn dns(random: &mut Random) -> Map<String, Value> {
    let mut event = sysmon_event(random, 22);
    let (image, ..) = program(random);
    let name = format!(
        "{}.{}.{}",
        random.word(3, 12),
        random.word(4, 10),
        random.pick(&["com", "net", "io", "azureedge.net", "github.com"])
    );
    event.insert("QueryName".into(), name.into());
    event.insert("QueryStatus".into(), "0".into());
    event.insert(
        "QueryResults".into(),
        format!(
            "type: 5 {}.{};::ffff:{}.{}.{}.{};",
            random.word(4, 9),
            random.pick(&["net", "com"]),
            random.below(256),
            random.below(256),
            random.below(256),
            random.below(256)
        )
        .into(),
    );
    event.insert("Image".into(), image.into());
    event.insert("User".into(), user(random).into());
    pad(random, &mut event, 650);
    event
}

fn process_access(random: &mut Random) -> Map<String, Value> {
    let mut event = sysmon_event(random, 10);
    let (source, ..) = program(random);
    let (target, ..) = program(random);
    let trace: Vec<String> = (0..8)
        .map(|_| {
            format!(
                r"C:\Windows\System32\{}.dll+{}",
                random.pick(&["ntdll", "KERNELBASE", "rpcrt4", "combase", "wow64"]),
                random.hex(6)
            )
        })
        .collect();
    let fields = [
        ("SourceProcessGUID", random.guid()),
        ("SourceImage", source),
        ("TargetProcessGUID", random.guid()),
        ("TargetImage", target),
        (
            "GrantedAccess",
            random.pick(&["0x1000", "0x1400", "0x1410", "0x1fffff", "0x40"]).to_owned(),
        ),
        ("CallTrace", trace.join("|")),
        ("SourceUser", user(random)),
        ("TargetUser", user(random)),
    ];
    event.extend(fields.map(|(name, value)| (name.to_owned(), value.into())));
    pad(random, &mut event, 250);
    event
}

fn script(random: &mut Random) -> Map<String, Value> {
    let mut event = common(random, "Microsoft-Windows-PowerShell/Operational", 4104);
    let lines: Vec<String> = (0..12)
        .map(|_| match random.below(5) {
            0 => format!(
                "$result = Invoke-Command -ComputerName {} -ScriptBlock {{ Get-Process }}",
                random.word(4, 9)
            ),
            1 => format!("Write-Host \"{} finished\" -ForegroundColor Green", random.word(5, 12)),
            2 => format!(
                "function Get-{} {{ param([string]$Path) return Test-Path $Path }}",
                random.word(5, 12)
            ),
            3 => format!(
                "New-Item -ItemType Directory -Path C:\\Temp\\{} -Force | Out-Null",
                random.word(5, 12)
            ),
            _ => format!(
                "$client = New-Object System.Net.WebClient; $client.Headers.Add('X-Id', '{}')",
                random.hex(8)
            ),
        })
        .collect();
    event.insert("ScriptBlockText".into(), lines.join("\r\n").into());
    event.insert("ScriptBlockId".into(), random.guid().into());
    event.insert("Path".into(), format!(r"C:\Scripts\{}.ps1", random.word(5, 9)).into());
    event.insert("MessageNumber".into(), 1.into());
    event
}

fn logon(random: &mut Random) -> Map<String, Value> {
    let mut event = common(random, "Security", 4624);
    let fields = [
        ("SubjectUserSid", "S-1-5-18".to_owned()),
        ("SubjectUserName", format!("WS-{}$", random.hex(6))),
        ("SubjectDomainName", "CORP".to_owned()),
        ("SubjectLogonId", "0x3e7".to_owned()),
        (
            "TargetUserSid",
            format!("S-1-5-21-1004336348-1177238915-682003330-{}", random.below(9_000)),
        ),
        ("TargetUserName", USERS[random.below(USERS.len())].to_owned()),
        ("TargetDomainName", "CORP".to_owned()),
        ("TargetLogonId", format!("0x{}", random.hex(6))),
        ("LogonProcessName", random.pick(&["Advapi", "Kerberos", "NtLmSsp", "User32"]).to_owned()),
        ("AuthenticationPackageName", random.pick(&["Negotiate", "Kerberos", "NTLM"]).to_owned()),
        ("WorkstationName", format!("WS-{}", random.hex(6))),
        ("LogonGuid", random.guid()),
        ("TransmittedServices", "-".to_owned()),
        ("LmPackageName", "-".to_owned()),
        ("ProcessName", r"C:\Windows\System32\services.exe".to_owned()),
        (
            "IpAddress",
            format!("10.{}.{}.{}", random.below(256), random.below(256), random.below(256)),
        ),
        ("IpPort", random.below(60_000).to_string()),
        ("ImpersonationLevel", "%%1833".to_owned()),
    ];
    event.extend(fields.map(|(name, value)| (name.to_owned(), value.into())));
    event.insert("LogonType".into(), (*random.pick(&[&2_u64, &3, &5, &10])).into());
    pad(random, &mut event, 200);
    event
}

fn linux_process(random: &mut Random) -> Map<String, Value> {
    let mut event = common(random, "Linux-Sysmon/Operational", 1);
    let program = |random: &mut Random| {
        random
            .pick(&[
                "/usr/bin/bash",
                "/usr/bin/python3.11",
                "/usr/sbin/cron",
                "/usr/bin/curl",
                "/usr/bin/grep",
                "/usr/lib/systemd/systemd",
                "/usr/bin/docker",
                "/usr/bin/find",
            ])
            .to_owned()
    };
    let (image, parent) = (program(random), program(random));
    let arguments = random.pick(&[
        "-c 'cd /srv/app && ./deploy.sh'",
        "-s -X POST https://metrics.example.com/push",
        "-rn --include=*.conf listen /etc",
        "/opt/tools/collect.py --interval 60",
        "/var/log -name '*.gz' -mtime +30 -delete",
    ]);
    let fields = [
        ("CommandLine", format!("{image} {arguments} {}", random.word(4, 12))),
        ("ParentCommandLine", format!("{parent} --unit {}.service", random.word(4, 12))),
        ("CurrentDirectory", format!("/home/{}", random.word(4, 9))),
        ("User", random.pick(&["root", "www-data", "deploy"]).to_owned()),
        ("LogonGuid", random.guid()),
        ("Hashes", hashes(random)),
        ("ParentProcessGuid", random.guid()),
        ("ParentImage", parent),
        ("Image", image),
    ];
    event.extend(fields.map(|(name, value)| (name.to_owned(), value.into())));
    pad(random, &mut event, 350);
    event
}

/// What forwarders add around every event: it belongs to no rule but must be read.
fn pad(random: &mut Random, event: &mut Map<String, Value>, bytes: usize) {
    let names = [
        "agent_id",
        "agent_hostname",
        "agent_version",
        "ingest_id",
        "log_file_path",
        "host_os_full",
        "host_mac",
        "tags",
        "cloud_instance",
        "organization",
        "observer_name",
        "pipeline_stage",
        "trace_id",
        "message_digest",
    ];
    let mut left = bytes;
    for name in names {
        let value = format!("{}-{}-{}", random.word(6, 14), random.hex(16), random.word(4, 20));
        left = left.saturating_sub(name.len() + value.len() + 6);
        event.insert(name.to_owned(), value.into());
        if left == 0 {
            return;
        }
    }
}

/// Changes an event until the positive tests of one rule of its source hold.
fn satisfy_some_rule(
    rulebook: &Rulebook,
    source: &Source,
    event: &mut Map<String, Value>,
    random: &mut Random,
) {
    let applies = |wanted: &Option<Arc<str>>, given: Option<&str>| {
        wanted.as_deref().is_none_or(|wanted| Some(wanted) == given)
    };
    let rules: Vec<_> = rulebook
        .detections
        .iter()
        .filter(|rule| {
            applies(&rule.logsource.product, Some(source.0))
                && applies(&rule.logsource.category, source.1)
                && applies(&rule.logsource.service, source.2)
        })
        .collect();
    let rule = rules[random.below(rules.len())];
    satisfy(rulebook, &rule.condition, event, random);
}

fn satisfy(rulebook: &Rulebook, expr: &Expr, event: &mut Map<String, Value>, random: &mut Random) {
    match expr {
        Expr::Atom(atom) => set(rulebook, *atom, event),
        Expr::And(parts) => parts.iter().for_each(|part| satisfy(rulebook, part, event, random)),
        Expr::Or(parts) if !parts.is_empty() => {
            satisfy(rulebook, &parts[random.below(parts.len())], event, random);
        }
        Expr::Selection(_, inner) => satisfy(rulebook, inner, event, random),
        Expr::Or(_) | Expr::Not(_) | Expr::Constant(_) => {}
    }
}

/// Makes one test hold where that is simple; a text that is there already is kept where it can be.
fn set(rulebook: &Rulebook, atom: AtomId, event: &mut Map<String, Value>) {
    let atom = &rulebook.atoms[atom.0 as usize];
    let Target::Field(field) = atom.target else { return };
    let name = rulebook.fields.name(field).to_owned();
    let value = match &atom.test {
        Test::Text(pattern) => {
            let text: String = pattern
                .pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text,
                    Piece::Any => "",
                    Piece::One => "x",
                })
                .collect();
            let before = event.get(&name).and_then(Value::as_str).unwrap_or_default();
            match (pattern.pieces.first(), pattern.pieces.last()) {
                (Some(Piece::Any), Some(Piece::Any)) => json!(format!("{before} {text}")),
                (Some(Piece::Any), _) => json!(format!("{before}{text}")),
                (_, Some(Piece::Any)) => json!(format!("{text}{before}")),
                _ => json!(text),
            }
        }
        Test::Number(Comparison::Equal, number) => json!(number),
        Test::Boolean(value) => json!(value),
        Test::Null => Value::Null,
        Test::Number(..)
        | Test::Regex(_)
        | Test::Cidr(_)
        | Test::Exists(_)
        | Test::FieldRef { .. }
        | Test::TimePart(..)
        | Test::InAccountList { .. }
        | Test::InAccountNetworks => return,
    };
    event.insert(name, value);
}
