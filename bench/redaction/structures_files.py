"""Secrets in files and commands: PEM, service accounts, dot files, manifests, shells, SQL."""

from __future__ import annotations

import base64
from random import Random

from .structures import structure
from .values import HOSTS, PEOPLE, SERVICES, WORDS, chars, encoded, host, password, uuid

_KINDS = ("RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY")


def _lines(rng: Random, size: int) -> list[str]:
    body = encoded(rng, size)
    return [body[start : start + 64] for start in range(0, len(body), 64)]


def _pem(rng: Random) -> tuple[str, list[str]]:
    return rng.choice(_KINDS), _lines(rng, rng.choice([120, 240, 600]))


@structure("pem-whole", "https://datatracker.ietf.org/doc/html/rfc7468")
def _whole(rng: Random) -> tuple[str, str]:
    kind, lines = _pem(rng)
    body = "\n".join(lines)
    return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----", body


@structure("pem-truncated", "https://datatracker.ietf.org/doc/html/rfc7468")
def _truncated(rng: Random) -> tuple[str, str]:
    kind, lines = _pem(rng)
    body = "\n".join(lines[: rng.randint(1, 2)])[: rng.randint(40, 110)]
    return f"-----BEGIN {kind}-----\n{body}", body


@structure("pem-escaped", "https://cloud.google.com/iam/docs/keys-create-delete")
def _escaped(rng: Random) -> tuple[str, str]:
    kind, lines = _pem(rng)
    body = rng.choice(["\\n", "\\\\n"]).join(lines)
    end = rng.choice([f"\\n-----END {kind}-----\\n", ""])
    return f'"private_key": "-----BEGIN {kind}-----\\n{body}{end}"', body


@structure("pem-one-line", "https://datatracker.ietf.org/doc/html/rfc7468")
def _one_line(rng: Random) -> tuple[str, str]:
    kind, lines = _pem(rng)
    body = rng.choice([" ", ""]).join(lines)
    return f"-----BEGIN {kind}----- {body} -----END {kind}-----", body


@structure("pem-quoted-lines", "https://datatracker.ietf.org/doc/html/rfc7468")
def _quoted(rng: Random) -> tuple[str, str]:
    kind, lines = _pem(rng)
    mark = rng.choice(["> ", "    ", "+", "# ", "\t"])
    body = f"\n{mark}".join(lines)
    return f"{mark}-----BEGIN {kind}-----\n{mark}{body}\n{mark}-----END {kind}-----", body


@structure("pgp", "https://datatracker.ietf.org/doc/html/rfc9580#name-forming-ascii-armor")
def _pgp(rng: Random) -> tuple[str, str]:
    body = "\n".join(_lines(rng, 300))
    return f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{body}\n-----END PGP PRIVATE KEY BLOCK-----", body


@structure("netrc", "https://www.gnu.org/software/inetutils/manual/html_node/The-_002enetrc-file.html")
def _netrc(rng: Random) -> tuple[str, str]:
    word = password(rng)
    gap = rng.choice([" ", "\n  "])
    return f"machine {host(rng)}{gap}login {rng.choice(PEOPLE)}{gap}password {word}", word


@structure("pgpass", "https://www.postgresql.org/docs/current/libpq-pgpass.html")
def _pgpass(rng: Random) -> tuple[str, str]:
    word = chars(rng, "a", 16)
    return f"# ~/.pgpass\n{host(rng)}:5432:orders:{rng.choice(PEOPLE)}:{word}", word


@structure("npmrc", "https://docs.npmjs.com/cli/configuring-npm/npmrc")
def _npmrc(rng: Random) -> tuple[str, str]:
    token = rng.choice([uuid(rng), encoded(rng, 30)])
    return f"//{host(rng)}/:{rng.choice(['_authToken', '_auth', '_password'])}={token}", token


@structure("docker-config", "https://docs.docker.com/reference/cli/docker/login/")
def _docker(rng: Random) -> tuple[str, str]:
    token = base64.b64encode(f"{rng.choice(PEOPLE)}:{password(rng)}".encode()).decode()
    return f'{{"auths": {{"{host(rng)}": {{"auth": "{token}"}}}}}}', token


@structure(
    "kubeconfig", "https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/"
)
def _kubeconfig(rng: Random) -> tuple[str, str]:
    if rng.random() < 0.5:
        token = encoded(rng, 48, url=True)
        return f"users:\n- name: admin\n  user:\n    token: {token}", token
    token = base64.b64encode(f"-----BEGIN EC PRIVATE KEY-----\n{encoded(rng, 90)}".encode()).decode()
    return f"users:\n- name: admin\n  user:\n    client-key-data: {token}", token


@structure("k8s-secret", "https://kubernetes.io/docs/concepts/configuration/secret/")
def _secret(rng: Random) -> tuple[str, str]:
    value = base64.b64encode(password(rng).encode() + rng.randbytes(3)).decode()
    name = rng.choice(["password", "api-key", "token", "db-password"])
    return (
        f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {rng.choice(SERVICES)}\ndata:\n  {name}: {value}",
        value,
    )


@structure("wireguard", "https://www.wireguard.com/quickstart/")
def _wireguard(rng: Random) -> tuple[str, str]:
    key = encoded(rng, 32)
    return f"[Interface]\nAddress = 10.0.0.2/24\n{rng.choice(['PrivateKey', 'PresharedKey'])} = {key}", key


@structure("env-dump", "https://12factor.net/config")
def _dump(rng: Random) -> tuple[str, str]:
    word = rng.choice([password(rng), chars(rng, "a", 32), encoded(rng, 30)])
    name = rng.choice(
        "APP_SECRET DB_PASSWORD API_TOKEN SERVICE_KEY SENTRY_AUTH_TOKEN ENCRYPTION_KEY MQ_PASS".split()
    )
    before = f"HOME=/home/{rng.choice(PEOPLE)}\nLANG=C.UTF-8\nPORT={rng.randint(1024, 9999)}"
    return f"{before}\n{name}={word}\nPATH=/usr/bin:/bin\nDEBUG=false", word


@structure("shell-flag", "https://dev.mysql.com/doc/refman/8.4/en/password-security-user.html")
def _flag(rng: Random) -> tuple[str, str]:
    word = chars(rng, "a", rng.randint(14, 30))
    name = rng.choice(PEOPLE)
    return rng.choice(
        [
            f"mysql -h {host(rng)} -u {name} -p{word} orders",
            f"mysqldump --user={name} --password={word} orders > dump.sql",
            f"curl -u {name}:{word} https://{host(rng)}/v1/jobs",
            f"curl --user '{name}:{word}' https://{host(rng)}/",
            f"sshpass -p '{word}' ssh {name}@{host(rng)}",
            f"docker login -u {name} -p {word} {host(rng)}",
            f"redis-cli -h {host(rng)} -a {word} ping",
            f"PGPASSWORD={word} psql -h {host(rng)} -U {name}",
            f"helm upgrade app ./chart --set auth.password={word}",
            f"az login --service-principal -u {uuid(rng)} -p {word} --tenant {uuid(rng)}",
            f"vault login token={word}",
            f"gh auth login --with-token <<< {word}",
            f"tool deploy --token {word} --region eu",
            f"tool sync --client-secret={word} --dry-run",
            f"openssl enc -aes-256-cbc -pass pass:{word} -in a -out b",
            f"mongosh --username {name} --password {word}",
            f"echo {word} | sudo -S systemctl restart {rng.choice(SERVICES)}",
        ]
    ), word


@structure("sql-password", "https://www.postgresql.org/docs/current/sql-createrole.html")
def _sql(rng: Random) -> tuple[str, str]:
    word = password(rng).replace("'", "")
    name = rng.choice(PEOPLE)
    return rng.choice(
        [
            f"CREATE USER {name} WITH PASSWORD '{word}';",
            f"ALTER ROLE {name} PASSWORD '{word}' VALID UNTIL '2027-01-01';",
            f"CREATE USER '{name}'@'%' IDENTIFIED BY '{word}';",
            f"SET PASSWORD FOR {name} = PASSWORD('{word}');",
            f"UPDATE users SET password = '{word}' WHERE login = '{name}';",
        ]
    ), word


@structure(
    "xml-password", "https://docs.oasis-open.org/wss-m/wss/v1.1.1/os/wss-UsernameTokenProfile-v1.1.1-os.html"
)
def _xml(rng: Random) -> tuple[str, str]:
    word = chars(rng, "a", 18)
    name = rng.choice(PEOPLE)
    return rng.choice(
        [
            f'<wsse:User>{name}</wsse:User><wsse:Password Type="#PasswordText">{word}</wsse:Password>',
            f'<add key="SmtpPassword" value="{word}" />',
            f"<server><id>central</id><username>{name}</username><password>{word}</password></server>",
            f'<bean><property name="password" value="{word}"/></bean>',
            f'<Context><Resource username="{name}" password="{word}" url="jdbc:h2:mem"/></Context>',
            f'<input type="hidden" name="csrf_token" value="{word}">',
            f'<data name="ApiKey"><value>{word}</value></data>',
        ]
    ), word


@structure("registry-dump", "https://docs.ansible.com/ansible/latest/inventory_guide/intro_inventory.html")
def _ansible(rng: Random) -> tuple[str, str]:
    word = chars(rng, "a", 15)
    return (
        f"[{rng.choice(HOSTS)}]\n10.0.0.{rng.randint(2, 250)} ansible_user={rng.choice(PEOPLE)} "
        f"{rng.choice(['ansible_password', 'ansible_become_pass', 'ansible_ssh_pass'])}={word}"
    ), word


@structure("service-account", "https://cloud.google.com/iam/docs/keys-create-delete")
def _account(rng: Random) -> tuple[str, str]:
    body = "\\n".join(_lines(rng, 400))
    return (
        f'{{"type": "service_account", "project_id": "{rng.choice(WORDS)}-{rng.randint(10, 99)}", '
        f'"private_key_id": "{chars(rng, "h", 40)}", '
        f'"private_key": "-----BEGIN PRIVATE KEY-----\\n{body}\\n-----END PRIVATE KEY-----\\n"}}'
    ), body
