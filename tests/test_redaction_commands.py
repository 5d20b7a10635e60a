"""Passwords that programs take behind a flag of one letter, or at a place of their own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest

from spantally.redaction import Redactor, marks

REDACTOR = Redactor()
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

COMMANDS = [
    r"net use X: \\files\share /user:CORP\bob {v}",
    r"net use \\files\c$ {v} /user:bob",
    "net user bob {v} /add",
    "WIFI:T:WPA;S:home;P:{v};;",
    'ldapsearch -x -H ldap://ldap.example.com -D "cn=admin,dc=example" -w {v} -b dc=example',
    "unzip -o -P {v} backup.zip -d out",
    "zip -r -P {v} out.zip dir",
    "7z a -t7z -mhe=on -p{v} out.7z dir",
    'unrar x -p"{v}" a.rar',
    "curl -sSLu bob:{v} https://example.com/x",
    "curl -ubob:{v} https://example.com/x",
    "mysql -u bob -p{v} -h db app",
    'mariadb-dump -u bob -p"{v}" app',
    "sqlcmd -S db -U sa -P {v} -Q 'select 1'",
    "mosquitto_pub -h mqtt -u bob -P {v} -t a -m b",
    "ipmitool -I lanplus -H bmc -U admin -P {v} power on",
    "sshpass -p {v} ssh bob@host",
    "sshpass -p{v} ssh bob@host",
    "mongosh -p {v} -u bob",
    'mongoimport -u bob -p "{v}" --db x',
    "docker login registry.example.com -u bob -p {v}",
    "az login --service-principal -u 1234 -p {v} --tenant t",
    "twine upload -u bob -p {v} dist/*",
    "useradd -m -p {v} bob",
    "openssl enc -aes-256-cbc -k {v} -in a",
    "http -a bob:{v} https://example.com/x",
    "smbclient //files/share -U bob%{v}",
    "rpcclient -U 'CORP/bob%{v}' dc",
    "lftp -u bob,{v} sftp://files",
    "xfreerdp /v:host /u:bob /p:{v}",
    "sqlplus scott/{v}@//db:1521/ORCL",
    "ALTER USER scott IDENTIFIED BY {v};",
    "CREATE LOGIN app WITH PASSWORD = N'{v}'",
    "Driver={{ODBC}};Server=db;UID=sa;PWD={{{v}}};",
    "bob:{v}@tcp(db:3306)/app?parseTime=true",
    'DriverManager.getConnection(url, "bob", "{v}")',
    "mysqli_connect('db', 'bob', '{v}', 'app')",
    "new PDO('mysql:host=db', 'bob', '{v}')",
    'cx_Oracle.connect("scott", "{v}", dsn)',
    'ConvertTo-SecureString -String "{v}" -AsPlainText -Force',
    'ConvertTo-SecureString "{v}" -AsPlainText -Force',
    "'{v}' | ConvertTo-SecureString -AsPlainText -Force",
    "[System.Net.NetworkCredential]::new('bob','{v}')",
    "kubectl create secret generic db --from-literal=host=db --from-literal='key={v}'",
    "echo -n {v} | wrangler secret put API_KEY",
    "echo 'root:{v}' | sudo chpasswd",
    "echo {v} | passwd --stdin bob",
    "echo {v} | gpg --batch --passphrase-fd 0 -d a.gpg",
    "htpasswd -nb bob {v}",
    "htpasswd -bc .htpasswd bob {v}",
    "mosquitto_passwd -b file bob {v}",
    "rabbitmqctl add_user bob {v}",
    "rabbitmqctl change_password bob {v}",
    "wpa_passphrase home {v}",
    'network={{\n  ssid="home"\n  psk="{v}"\n}}',
    "<keyMaterial>{v}</keyMaterial>",
    "keytool -importkeystore -srcstorepass {v} -deststorepass {v}",
    "composer config http-basic.repo.example.com bob {v}",
    "skopeo copy --src-creds bob:{v} docker://a docker://b",
    "db.example.com:*:*:bob:{v}",
    "masterauth {v}",
    "echo {v} | kinit bob@EXAMPLE.COM",
    'echo -n "{v}" | cryptsetup luksOpen /dev/sda1 x',
    'sudo -S <<< "{v}" ls',
    "snmpwalk -v3 -u bob -a SHA -A {v} switch1",
    "snmpget -v2c -c {v} switch1 1.3.6",
    "rar a -r -hp{v} backup.rar data",
    '7z a "-p{v}" out.7z dir',
    "redis-cli -h cache -a {v} ping",
    r"schtasks /create /tn job /tr c:\jobs\a.cmd /ru CORP\bob /rp {v}",
    'signtool.exe sign /f cert.pfx /p "{v}" setup.exe',
    "winrs -r:host -u:bob -p:{v} dir",
    'net user bob "{v}" /add',
    'curl -u "bob:{v}" https://example.com',
    "mysqldump \\\n  -h db -u root \\\n  -p{v} app",
    '["mysqldump", "-uroot", "-p{v}", "app"]',
    "['sshpass', '-p', '{v}', 'ssh', 'bob@host']",
    'exec.Command("docker", "login", "-u", "bob", "-p", "{v}")',
    '[\n    "redis-cli",\n    "-a",\n    "{v}",\n    "ping",\n]',
    '["curl", "-u", "bob:{v}", "https://example.com"]',
]
KEYED = [
    "vault login {v}",
    "dotnet nuget push a.nupkg -k {v} -s https://example.com",
    'curl -b "session={v}" https://example.com',
    'curl --cookie "auth={v}" https://example.com',
    'requests.get(url, cookies={{"sessionid": "{v}"}})',
    "the api key you asked for -> {v}",
    "here is the token you wanted: {v}",
    "crypto isakmp secret {v} address 0.0.0.0",
]
WAYS: dict[str, Callable[[str], str]] = {
    "alone": str,
    "in JSON": lambda text: json.dumps({"command": text}),
    "in JSON in JSON": lambda text: json.dumps({"arguments": json.dumps({"command": text})}),
    "in a list of commands": lambda text: f"$ cd /srv\n$ {text}\n$ ls -la\n",
    "behind a line in JSON": lambda text: json.dumps({"command": f"as told:\n{text}\n"}),
    "behind a line in JSON in JSON": lambda text: json.dumps({"a": json.dumps({"b": f"this:\n{text}\n"})}),
    "in code": lambda text: f"subprocess.run({text!r}, shell=True)",
    "in a sentence": lambda text: f"I ran {text} and it failed",
}


def noise(alphabet: str, size: int, seed: str) -> str:
    """Made-up characters, always the same."""
    drawn = hashlib.shake_256(seed.encode()).digest(size)
    return "".join(alphabet[byte % len(alphabet)] for byte in drawn)


def hidden(command: str, secret: str, way: str) -> None:
    """The secret goes, the rest of the program's name stays, and nothing changes afterwards."""
    shown = REDACTOR.text(WAYS[way](command.format(v=secret)))
    assert secret not in shown
    assert "[REDACTED:" in shown
    assert REDACTOR.text(shown) == shown


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("command", COMMANDS)
def test_passwords_of_commands_go(command: str, way: str) -> None:
    """Those that people think of, and those that programs make."""
    for seed in range(4):
        made = noise(LETTERS + "0123456789", 14, f"{command}{seed}") + "4"
        for secret in (f"Copper{seed}!84", f"lantern{seed}572", "orbit-velvet-pebble-maple", made):
            hidden(command, secret, way)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("command", KEYED)
def test_keys_of_commands_go(command: str, way: str) -> None:
    """What only a program makes."""
    hidden(command, noise(LETTERS + "0123456789", 32, command), way)


@pytest.mark.parametrize("secret", ["JBSWY3DPEHPK3PXP", noise("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 32, "x")])
@pytest.mark.parametrize("text", ["oathtool --totp -b {v}", "TOTP seed: {v}", 'pyotp.TOTP("{v}").now()'])
def test_the_seed_of_one_time_passwords_goes(text: str, secret: str) -> None:
    """Base32, which has few digits."""
    assert secret not in REDACTOR.text(text.format(v=secret))


@pytest.mark.parametrize(
    "text",
    [
        "mkdir -p build/out2024x",
        "ssh -p 2222 bob@host2 ls",
        "docker run -p 8080:80 -w /srv/app2 image:v1.2",
        "docker run -d -p 127.0.0.1:5432:5432 -u 1000 postgres:16",
        "mysql -h db2 -P 3307 app && ssh -p22 x1",
        "7z x a1.7z | tar -p v2x",
        "psql -h db -p 5433 -w -d app2",
        "unzip -p a1.zip file2.txt",
        "mosquitto_sub -p 1883 -t a1/b2",
        "mongosh -p $MONGO_PASSWORD1 -u bob",
        "sshpass -p <password> ssh bob@host",
        "sshpass -p your_password ssh bob@host",
        "date -u +%Y-%m-%d && ls -U a%b",
        "curl -k -w '%{http_code}' https://example.com/v2",
        "curl -H 'Accept: a1' -o out2 https://example.com/a1:b2",
        "git checkout -b feature=abc123",
        "pip install -b dir1 -p x2y3",
        "See the WIFI: it is on P: 3 today.",
        "the internet user 4you2 came",
        "a SecureString value1 is not a plain one",
        "connect(host, port1, timeout2)",
        'sock.connect("tcp", "alice")',
        "add_user bob somebody",
        "kubectl get secret generic1 -o yaml",
        "kubectl create configmap x --from-literal=mode=a1b2c3",
        "cookies = {'theme': 'dark1234'}",
        "TOTP is RFC6238, and HOTP is RFC4226.",
        "the psk is a shared one; wpa-psk2 too",
        "use the key material1 there",
        "openssl req -new -key server1.key -out a1.csr",
        "logged in and out: a login -p8 there",
        '["docker", "run", "-p", "8080:80", "-a", "stdin2x", "-u", "1000:1000"]',
        '["mysql", "-p", os.environ["PW1x"]]',
        "signtool verify /pa a1.exe && dir /p c:\\src2 && robocopy a b1 /purge",
        "mount /data/rp /p1x and cp -hp1 b2x",
    ],
)
def test_other_flags_stay(text: str) -> None:
    """Ports, paths, modes, stand-ins and words."""
    assert REDACTOR.text(text) == text


def test_a_program_speaks_for_its_own_line_only() -> None:
    """What follows a pipe or stands on the next line is another command."""
    for between in ("\n", "; ", " | ", " && "):
        text = f"sshpass -e ssh host{between}mkdir -p out2024x"
        assert REDACTOR.text(text) == text


def test_no_mark_is_missed_in_a_short_text() -> None:
    """The quick look at a short text knows every mark; "into" tells beside the name of a column only."""
    for mark in marks.PLACED:
        assert marks.has_marks(f"a{mark}b".encode()) or mark == "into", mark


@pytest.mark.parametrize("depth", range(4))
def test_quoted_columns_are_found_at_any_depth_of_escaping(depth: int) -> None:
    """A quoted list in JSON, in JSON within JSON, and behind a sentence that has a semicolon."""
    secret = noise(LETTERS + "0123456789", 32, "columns")
    text = f'it printed the following; here: "id","cohere_key","user"\n"1","{secret}","emre"\n'
    for _ in range(depth):
        text = json.dumps({"input": text})
    assert secret not in REDACTOR.text(text)


@pytest.mark.parametrize(
    "text",
    [
        "text=!function%28e%2Ct%29%7Be.key%3Dt%28%29%7D%28this%2Cfunction%28%29%7Breturn%208%7D&id=1",
        "text=export%20client_secret%3D%22%3Ctoken%3E%22&id=1",
        "text=curl%20-H%20%22Authorization%3A%20Bearer%20%24TOKEN%22&id=1",
    ],
)
def test_what_is_encoded_is_judged_as_it_reads(text: str) -> None:
    """A call, a stand-in and a variable of a shell, in a field of a form."""
    assert REDACTOR.text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "X-Auth-Token%3A%20{v}&id=1",
        "text=password%3D{v}%26user%3Dbob",
        "text=%7B%22password%22%3A%20%22{v}%22%7D",
        '{{"msg":"key passphrase -\\u003e {v}"}}',
    ],
)
def test_what_is_encoded_goes_as_it_reads(text: str) -> None:
    """The same with a secret."""
    secret = "9b803223ff5c1980a151" + "a9e969ab8694"
    assert secret not in REDACTOR.text(text.format(v=secret))


@pytest.mark.parametrize(
    "text", ["密码:8_*7*FcmONgH%Kgs4#9Vww", "密码是 WBvsBicqPx", "**пароль**: 8_*7*FcmONgH"]
)
def test_stars_and_letters_of_passwords_in_other_scripts(text: str) -> None:
    """A star ends a value only where it ends bold print."""
    assert REDACTOR.text(text).endswith("]")


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("the door secret is Orbit.Beacon7583", "Orbit.Beacon7583"),
        ("smtp_password = 'abcd efgh ijkl mnop'", "efgh ijkl mnop"),
        ("the Google app password: abcd efgh ijkl mnop", "efgh ijkl mnop"),
        (
            "<pre>x postmark server token -&gt; 1201f24b-84f3-4d61-a055-9b54407c5523</pre>",
            "1201f24b-84f3-4d61",
        ),
        ("the door secret is beacon-hazel-rabbit-forest", "beacon-hazel-rabbit-forest"),
        ('{"msg":"let assemblyai_api_key: \\u0026str = \\"bb6748a722df1ad7\\";"}', "bb6748a722df1ad7"),
        ("define('PASSWORD', 'GatV=rmtsR=?X');", "GatV=rmtsR=?X"),
        ("machine mail login dana password b9Qr=olQ.5~#++-?=S5AZx", "b9Qr=olQ.5~#++-?=S5AZx"),
        ("<tr><td>smtp pass</td><td>54ffr0nLagoon+43</td></tr>", "54ffr0nLagoon+43"),
        ("10.0.0.1 ansible_user=dana ansible_become_pass=IoerdLPmXWHEifq", "IoerdLPmXWHEifq"),
        ("SET PASSWORD FOR ada = PASSWORD('sBRqiPMgtm');", "sBRqiPMgtm"),
        ("unlock it with the passphrase BOgexSMaat", "BOgexSMaat"),
        ("db.example.com:5432:orders:priya:raUIrXKZHUQgIhtl", "raUIrXKZHUQgIhtl"),
        ('{"content": "la password \\u00e8 SlZyJhWiNmrtkO6CW!d"}', "SlZyJhWiNmrtkO6CW!d"),
    ],
)
def test_chosen_secrets_and_letters_of_both_cases_go(text: str, secret: str) -> None:
    """Behind a name that promises one, marks of any kind and letters alone."""
    assert secret not in REDACTOR.text(text)


@pytest.mark.parametrize(
    "text",
    [
        "text=current_user.password()&id=893dfe6b-ceb4-4a80-a797-213f5bfcc00c",
        "text=password%3A%20false&id=7edce22e-022c-4678-8667-52663eea9eab",
        "text=client_secret%3A%20%25s&id=839efe35-4a08-40e1-92a0-f21ad5ff63fd",
        "text=Cookie%3A%20a%20text.%20Set-Cookie%20keeps%20it%3B%20it%20hides.&id=0f2b7c78-8d17-4652-a2fd-ac925534a577",
        '<input type="password" placeholder="Password"> この設定を確認してください。',
        '<input type="password" placeholder="Password"> ¿Puedes revisar esto?',
        "<pre>&lt;input type=&quot;password&quot; autocomplete=&quot;current-password&quot;&gt;</pre>",
        'ETag: W/\\"kGC-3jtPeKJ92fMJouUhhCkh_Ug\\"',
        "https://docs.example.com/document/d/1HBBvnm_1yLV_cntLW_Zqn3bbgAkwtiyQy1KDEuKa3O8/edit",
        "['PKLabeledValue', 'PKPass', 'PKPassLibrary', 'PKObject']",
        "the secret is app-config",
        "the password: this must have been long",
        "the key of this file path: h6rILTG2VwzdGtSPr5SR2mJfJE",
        "the token for the key fingerprint is SHA256:h6rILTG2VwzdGtSPr5SR2mJfJE",
        "6R4NPz0Bx+Aitw/GEvWjcRZd86hPw\neukncIGHhGLCjGu8sZ2ex2x9Q1wZIVJ2vTaNbaCBHtN+U1Gt3HpCu638S1fz8mzf",
    ],
)
def test_fields_sentences_and_ids_beside_a_name_stay(text: str) -> None:
    """The next field of a form, the next sentence, the next attribute."""
    assert REDACTOR.text(text) == text


def test_a_chain_of_addresses_is_settled_in_the_first_reading() -> None:
    """Each tag made the host before it look like a value of the user before that, and so on."""
    text = "alpha2pw@" + "db.internal:5ter2pw@" * 8 + 'db.int9257bBZIV0ElsEbZ4ernal:5505/main"'
    redactor = Redactor()
    assert "[REDACTED:error]" not in redactor.text(text)
    assert redactor.failures == 0
