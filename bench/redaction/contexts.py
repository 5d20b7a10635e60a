"""How a name and its value are written: in code, configuration, commands, documents, logs and prose.

A form is a text with ``<v>`` for the value and the name in the spelling of its kind: ``<N>`` as API_KEY,
``<n>`` as api_key, ``<c>`` as apiKey, ``<k>`` as api-key, ``<s>`` as "api key", ``<o>`` as the family has it.
"""

from __future__ import annotations

import re
from random import Random

from .values import PEOPLE, SERVICES, WORDS, chars, host, uuid

NAMED: dict[str, str] = {
    "env": "<N>=<v>",
    "env-quoted": '<N>="<v>"',
    "export": "export <N>=<v>",
    "export-quoted": "export <N>='<v>' && ./run.sh",
    "fish": "set -x <N> <v>",
    "powershell": '$env:<N> = "<v>"',
    "cmd": "setx <N> <v>",
    "inline-env": "<N>=<v> python main.py --port 8080",
    "yaml": "<n>: <v>",
    "yaml-quoted": 'service:\n  url: https://<host>\n  <c>: "<v>"\n  retries: 3',
    "yaml-block": "<k>: >-\n  <v>\n",
    "yaml-list": "env:\n  - name: <N>\n    value: <v>\n  - name: PORT\n    value: '80'",
    "k8s-env": 'env:\n  - name: <N>\n    value: "<v>"',
    "compose": "environment:\n  - <N>=<v>\n  - LOG_LEVEL=info",
    "compose-map": "environment:\n  <N>: <v>\n  LOG_LEVEL: info",
    "dockerfile": "FROM python:3.12\nENV <N>=<v>\nCMD python app.py",
    "dockerfile-old": "ENV <N> <v>",
    "toml": '[<word>]\n<n> = "<v>"\ntimeout = 30',
    "ini": "[<word>]\n<n> = <v>\nhost = <host>",
    "properties": "<o>=<v>",
    "terraform": 'provider "<word>" {\n  <n> = "<v>"\n  region = "eu-west-1"\n}',
    "terraform-variable": 'variable "<n>" {\n  type    = string\n  default = "<v>"\n}',
    "json": '{"<o>": "<v>", "region": "eu"}',
    "json-tight": '{"user":"<person>","<c>":"<v>"}',
    "json-lines": '{\n  "<word>": {\n    "<c>": "<v>"\n  }\n}',
    "json-pair": '{"name": "<N>", "value": "<v>"}',
    "json-key-value": '[{"key": "<n>", "value": "<v>", "enabled": true}]',
    "json-value-first": '{"value": "<v>", "name": "<N>"}',
    "json-array": '{"<n>": ["<v>"]}',
    "python": '<N> = "<v>"',
    "python-call": 'client = Client(<n>="<v>", timeout=10)',
    "python-environ": 'os.environ["<N>"] = "<v>"',
    "python-setdefault": 'os.environ.setdefault("<N>", "<v>")',
    "python-getenv": 'os.getenv("<N>", "<v>")',
    "python-dict": "{'<n>': '<v>', 'debug': False}",
    "python-headers": 'requests.get(url, headers={"<k>": "<v>"})',
    "python-tuple": "(('<n>', '<v>'), ('debug', 'false'))",
    "python-typed": '<n>: str = "<v>"',
    "python-attribute": 'settings.<n> = "<v>"',
    "python-repr": "Settings(env='prod', <n>='<v>', port=80)",
    "python-secret": "<n>=SecretStr('<v>')",
    "python-bytes": 'hmac.new(b"<v>", body, "sha256")  # <s>',
    "javascript": 'const <c> = "<v>";',
    "javascript-object": "new Client({ <c>: '<v>', region: 'eu' })",
    "javascript-template": "process.env.<N> = `<v>`;",
    "typescript": "private readonly <c>: string = '<v>';",
    "go": '<c> := "<v>"',
    "go-setenv": 'os.Setenv("<N>", "<v>")',
    "go-header": 'req.Header.Set("<k>", "<v>")',
    "java": 'private static final String <N> = "<v>";',
    "java-builder": 'Client.builder().<c>("<v>").build();',
    "java-property": 'System.setProperty("<o>", "<v>");',
    "kotlin": 'val <c> = "<v>"',
    "csharp": 'public const string <c> = @"<v>";',
    "rust": 'let <n>: &str = "<v>";',
    "ruby": "ENV['<N>'] = '<v>'",
    "ruby-hash": "{ :<n> => '<v>' }",
    "php": "define('<N>', '<v>');",
    "php-array": "'<n>' => '<v>',",
    "c": '#define <N> "<v>"',
    "lua": 'local <n> = "<v>"',
    "flag": "tool run --<k> <v> --verbose",
    "flag-equals": "tool run --<k>=<v> --verbose",
    "flag-list": '["tool", "--<k>", "<v>", "run"]',
    "docker-run": "docker run -e <N>=<v> -p 80:80 app:latest",
    "gh-secret": 'gh secret set <N> --body "<v>"',
    "aws-configure": "aws configure set <n> <v> --profile <word>",
    "curl-header": 'curl -s https://<host>/v1 -H "<k>: <v>"',
    "curl-bearer": "curl -H 'Authorization: Bearer <v>' https://<host>/v1/models  # <s>",
    "curl-json": 'curl -d \'{"<n>":"<v>"}\' https://<host>/login',
    "http": "POST /v1/<service> HTTP/1.1\r\nHost: <host>\r\n<k>: <v>\r\nAccept: */*\r\n\r\n",
    "xml": "<config><<c>><v></<c>></config>",
    "xml-attribute": '<client id="7" <c>="<v>" region="eu"/>',
    "xml-key": '<add key="<c>" value="<v>" />',
    "plist": "<key><c></key>\n<string><v></string>",
    "html-input": '<input type="text" name="<n>" value="<v>">',
    "html-table": "<tr><td><s></td><td><v></td></tr>",
    "markdown-table": "| setting | value |\n|---|---|\n| region | eu |\n| <n> | <v> |",
    "markdown-table-code": "| Name | Value |\n| --- | --- |\n| `<N>` | `<v>` |",
    "markdown-column": "| user | <s> |\n|------|------|\n| <person> | <v> |",
    "markdown-bullet": "- **<s>**: `<v>`",
    "markdown-bold": "**<s>:** <v>",
    "csv": "id,user,<n>\n1,<person>,<v>",
    "csv-quoted": '"id","<n>","user"\n"1","<v>","<person>"',
    "tsv": "user\t<n>\n<person>\t<v>",
    "sql-insert": "INSERT INTO accounts (id, owner, <n>) VALUES (7, '<person>', '<v>');",
    "sql-insert-first": "INSERT INTO t (<n>, created) VALUES ('<v>', now())",
    "sql-update": "UPDATE integrations SET <n> = '<v>' WHERE id = 12;",
    "sql-where": "SELECT id FROM users WHERE <n> = '<v>'",
    "sql-result": " id | <n>\n----+------\n  1 | <v>\n(1 row)",
    "url-query": "GET /v1/<service>?limit=5&<n>=<v>&sort=asc",
    "log-pair": 'level=info msg="client ready" <n>=<v> region=eu',
    "log-colon": "config loaded: <c>: <v>, retries: 3",
    "log-brackets": "[<n>=<v>] ready",
    "log-parentheses": "connect(<n>=<v>)",
    "go-struct": "{Name:web <c>:<v> Port:80}",
    "rust-debug": 'Config { <n>: Some("<v>"), port: 80 }',
    "js-inspect": "{ user: '<person>', <c>: '<v>' }",
    "protobuf": '<n>: "<v>"',
    "error-value": "ValueError: invalid <n>: '<v>'",
    "error-provided": "401 Incorrect <s> provided: <v>. Check your settings.",
    "validation": "1 validation error for Settings\n<n>\n  Field required [type=missing, input_value='<v>', input_type=str]",
    "prose-is": "the <s> is <v> please keep it",
    "prose-quoted": 'My <s> is "<v>", can you test it?',
    "prose-use": "Use <v> as the <s> for staging.",
    "prose-colon": "<s>: <v>",
    "prose-dash": "<s> - <v>",
    "prose-arrow": "<s> -> <v>",
    "prose-for": "The <s> for <host> is: <v>",
    "prose-parenthesis": "I set the <s> (<v>) yesterday",
    "prose-newline": "Here is the <s>:\n\n<v>\n\nThanks!",
    "prose-backticks": "set the <s> to `<v>`",
    "prose-changed": "we changed the <s> from old to <v>",
}

BARE: dict[str, str] = {
    "bare": "<v>",
    "bare-line": "here:\n<v>\n",
    "bare-sentence": "Can you check whether <v> still works?",
    "bare-end": "try again with <v>.",
    "bare-brackets": "(<v>)",
    "bare-square": "[<v>]",
    "bare-angle": "<<v>>",
    "bare-comma": "first,<v>,last",
    "bare-pipe": "a|<v>|b",
    "bare-slash": "https://<host>/hook/<v>/events",
    "bare-equals": "x=<v>&y=2",
    "bare-colon": "user:<v>@<host>",
    "bare-code": "run `login <v>` now",
    "bare-stars": "**<v>**",
    "bare-german": "Bitte nimm <v> für den Test, danke.",
    "bare-french": "Voici la clé : <v> merci de la tester",
    "bare-spanish": "Esta es: <v>, ¿funciona?",
    "bare-chinese": "请使用<v>进行测试。",
    "bare-japanese": "これを使って「<v>」ください",
    "bare-russian": "вот <v>, проверь",
    "bare-curl": "curl -H 'Authorization: Bearer <v>' https://<host>/v1",
    "bare-error": "Error: request with <v> was refused (403)",
    "bare-argument": '["login", "<v>"]',
}

PASSWORD_PROSE: dict[str, str] = {
    "password-is": "my password is <v>",
    "password-login": "Log in as <person> with password <v> and open the page.",
    "password-pair": "user: <person> pass: <v>",
    "password-slash": "credentials: <person> / <v>",
    "password-set": "I reset your password to <v> this morning",
    "password-wifi": "the wifi password: <v>",
    "password-pwd": "pwd = <v>",
    "password-temporary": "Your temporary password is: <v>",
    "password-quoted": "The admin password is '<v>' (do not share).",
    "password-german": "Das Passwort lautet <v>",
    "password-german-colon": "Benutzer: <person>, Passwort: <v>",
    "password-french": "Le mot de passe est <v>",
    "password-french-colon": "mot de passe : <v>",
    "password-spanish": "La contraseña es <v>",
    "password-spanish-colon": "usuario <person>, contraseña: <v>",
    "password-portuguese": "a senha é <v>",
    "password-portuguese-colon": "Senha: <v>",
    "password-italian": "la password è <v>",
    "password-dutch": "wachtwoord: <v>",
    "password-polish": "hasło: <v>",
    "password-russian": "пароль: <v>",
    "password-russian-is": "мой пароль <v>",
    "password-chinese": "密码:<v>",
    "password-chinese-is": "密码是 <v>",
    "password-japanese": "パスワード: <v>",
    "password-japanese-is": "パスワードは <v> です",
    "password-korean": "비밀번호: <v>",
    "password-turkish": "şifre: <v>",
    "password-passphrase": "unlock it with the passphrase <v>",
    "password-pin": "the door secret is <v>",
}


def words_of(name: str) -> list[str]:
    """The words of a name in any spelling."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return [word.lower() for word in re.split(r"[^A-Za-z0-9]+", spaced) if word]


def spellings(name: str) -> dict[str, str]:
    """A name as each kind of file would spell it."""
    words = words_of(name)
    return {
        "o": name,
        "n": "_".join(words),
        "N": "_".join(words).upper(),
        "c": words[0] + "".join(word.title() for word in words[1:]),
        "k": "-".join(words),
        "s": " ".join(words).replace("api key", "API key"),
    }


_MARK = re.compile(r"<(o|n|N|c|k|s|v|host|person|word|service|id)>")


def write(rng: Random, form: str, name: str, value: str) -> str:
    """The form with its marks replaced."""
    known = spellings(name or "key")
    made = {
        **known,
        "v": value,
        "host": host(rng),
        "person": rng.choice(PEOPLE),
        "word": rng.choice(WORDS),
        "service": rng.choice(SERVICES),
        "id": rng.choice([uuid(rng), chars(rng, "h", 16)]),
    }
    return _MARK.sub(lambda found: made[found[1]], form)
