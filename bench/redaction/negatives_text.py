"""Hard negatives that talk about secrets without holding one: names, placeholders, documentation, code."""

from __future__ import annotations

from random import Random

from .negatives import KEYED, negative
from .values import PEOPLE, SERVICES, WORDS, chars, host, uuid

_MODELS = (
    "gpt-4o-2024-08-06 claude-3-5-sonnet-20241022 gemini-2.0-flash-exp llama-3.3-70b-instruct-q4_K_M "
    "mistral-large-2411 qwen2.5-coder-32b-instruct text-embedding-3-large deepseek-r1-distill-qwen-32b "
    "ft:gpt-4o-mini-2024-07-18:acme:support:9aBcDeFg anthropic.claude-3-haiku-20240307-v1:0 o3-mini-2025-01-31 "
    "sentence-transformers/all-MiniLM-L6-v2 meta-llama/Llama-3.1-8B-Instruct whisper-large-v3-turbo"
).split()


@negative
def _model_names(rng: Random) -> str:
    one = rng.choice(_MODELS)
    return rng.choice(
        [f'"model": "{one}"', f"model={one} temperature=0.2", f"we moved from {one} to {rng.choice(_MODELS)}"]
    )


@negative
def _variable_names(rng: Random) -> str:
    name = rng.choice(
        "password_field api_key_input secretManager token_bucket auth_header keyPath passwordHash tokenizer".split()
    )
    other = rng.choice(
        "get_secret_value resolve_credentials read_token load_key current_user.password form.password".split()
    )
    return rng.choice(
        [
            f"{name} = {other}",
            f"{name} = None",
            f"def set_{name.lower()}(self, {name.lower()}): ...",
            f"self.{name} = {other}()",
            f"if not {name}:\n    raise ValueError('{name} is required')",
            f"{name}: str | None = None",
            f"const {name} = document.getElementById('{name}');",
            f"{name} = settings.{other}",
            "password = getpass.getpass()",
            "token = request.headers.get('Authorization')",
            f"api_key = os.environ['{name.upper()}']",
            f'api_key=os.getenv("{rng.choice(WORDS).upper()}_API_KEY")',
            "secret = vault.read(path)['data']",
            f"key = lambda item: item.{rng.choice(WORDS)}",
            f"password: z.string().min({rng.randint(6, 12)})",
            "private String password;",
            "password = models.CharField(max_length=128)",
            "token = next(iter(tokens))",
            "for key, value in mapping.items():",
            "SECRET_KEY = env('SECRET_KEY')",
            "auth = HTTPBasicAuth(user, password)",
            "const token = await getToken({ audience });",
            "cookies = response.cookies",
            "session = Session(engine)",
            f"apiKey: process.env.{rng.choice(WORDS).upper()}_KEY,",
            f"key={rng.choice(WORDS)}",
        ]
    )


@negative
def _placeholders(rng: Random) -> str:
    name = rng.choice(
        "API_KEY OPENAI_API_KEY password token client_secret DB_PASSWORD SECRET auth_token".split()
    )
    vendor = rng.choice(WORDS)
    value = rng.choice(
        [
            f"<your-{vendor}-key>",
            "${API_KEY}",
            "{{ secrets.TOKEN }}",
            "$(cat /run/secrets/db)",
            "YOUR_API_KEY_HERE",
            "********",
            "xxxxxxxxxxxx",
            "...",
            "<redacted>",
            "[hidden]",
            "null",
            "None",
            "%s",
            "{api_key}",
            "your_password",
            "$DB_PASSWORD",
            "***",
            "sk-...",
            "<token>",
            "${{ secrets.NPM_TOKEN }}",
            "!vault",
            "REPLACE_ME",
            "${var.db_password}",
            "@Microsoft.KeyVault(VaultName=x)",
            "env:TOKEN",
            "true",
            "false",
            "",
        ]
    )
    return rng.choice(
        [f"{name}={value}", f"{name}: {value}", f'"{name}": "{value}"', f'export {name}="{value}"']
    )


@negative
def _documentation(rng: Random) -> str:
    return rng.choice(
        [
            "Never commit an API key. Rotate each secret every 90 days and keep it in a vault.",
            "The Authorization header carries a bearer token; see the section on authentication.",
            "If you forgot your password, click the reset link. The token expires after one hour.",
            "Passwords must be at least twelve characters long and contain a number and a symbol.",
            "| parameter | type | description |\n|---|---|---|\n| api_key | string | Your secret key, required |\n| token | string | The access token |",
            "A token bucket limits the rate: each request takes one token, and the bucket refills over time.",
            "The secret of good bread is time. The key is a warm kitchen and patience.",
            "Public-key cryptography uses a private key for signing and a public key for verification.",
            "Le mot de passe doit contenir au moins douze caractères.",
            "Das Passwort muss mindestens zwölf Zeichen haben; das Token läuft nach einer Stunde ab.",
            "La contraseña debe cambiarse cada noventa días.",
            "密码必须至少包含十二个字符,并且每九十天更换一次。",
            "パスワードは12文字以上にしてください。",
            "Пароль должен содержать не менее двенадцати символов.",
            "Basic authentication sends user and password with each request.",
            "--password PASSWORD  the password of the database user\n--token TOKEN        an access token (default: read from the environment)",
            "Cookie: a small text file. Set-Cookie tells the browser to keep it; HttpOnly hides it from scripts.",
            "Secrets Manager costs $0.40 per secret per month, and $0.05 per 10,000 API calls.",
            'ERROR: password authentication failed for user "app"',
            "401 Unauthorized: invalid or expired token",
            "Permission denied (publickey,password).",
            "pass: 118, fail: 2, skipped: 4",
            "the session cookie is missing",
            "Your token usage this month was 1.2M tokens, which is 40 % of the quota.",
            "Signature: ____________________  Date: ____________",
            "The keyboard shortcut is Ctrl+Shift+K, the key binding can be changed.",
            "She passed the exam with distinction; the secretary handed over the keys of the office.",
            "Author: Kofi Mensah, Authorisation granted by the board on 3 March.",
            "The tokenization step splits the text into subword tokens.",
            "class Passport: ...  # key fields: number, authority, expiry",
            "bypass=true compass=north password_policy=strict",
        ]
    )


@negative
def _code(rng: Random) -> str:
    one = rng.choice(WORDS)
    return rng.choice(
        [
            "def verify_password(plain: str, hashed: str) -> bool:\n    return context.verify(plain, hashed)",
            "class TokenBucket:\n    def __init__(self, rate: float, capacity: int) -> None:\n        self.tokens = capacity",
            f"SELECT key, count(*) FROM {one}_events GROUP BY key ORDER BY 2 DESC",
            "ALTER TABLE users ADD COLUMN password_hash varchar(255) NOT NULL;",
            f"INSERT INTO {one} (id, name, created) VALUES ('{uuid(rng)}', '{rng.choice(PEOPLE)}', now());",
            "tokens = tokenizer.encode(text, add_special_tokens=True)",
            f"sorted(items, key=lambda one: one.{one}, reverse=True)",
            f"@app.get('/{one}', dependencies=[Depends(verify_api_key)])",
            "headers = {'Authorization': f'Bearer {token}'}",
            f'curl -H "Authorization: Bearer $TOKEN" https://{host(rng)}/v1/{one}',
            "assert response.json()['token_type'] == 'bearer'",
            "useEffect(() => { setToken(localStorage.getItem('token')) }, [key]);",
            f"from {one}.auth import ApiKeyAuth, BearerAuth, OAuth2PasswordBearer",
            '<input type="password" name="password" autocomplete="current-password" placeholder="Password">',
            f"<Row key={{item.id}} value={{item.{one}}} />",
            "password_validator = re.compile(r'^(?=.*[A-Z])(?=.*[0-9]).{12,}$')",
            f"docker run -e API_KEY -e TOKEN --env-file .env {one}:latest",
            f"secretKeyRef:\n  name: {one}-credentials\n  key: database-password",
            f"imagePullSecrets:\n- name: {one}-registry",
            f"vault kv get -field=password secret/{one}",
            f"jdbc:postgresql://{host(rng)}:5432/{one}",
        ]
    )


@negative
def _json_schema(rng: Random) -> str:
    name = rng.choice(["password", "api_key", "token", "secret", "session_key"])
    return f'{{"type": "object", "properties": {{"{name}": {{"type": "string", "description": "The {name} of the user", "maxLength": {rng.randint(10, 200)}}}}}, "required": ["{name}"]}}'


@negative
def _identifiers(rng: Random) -> str:
    words = [rng.choice(WORDS) for _ in range(rng.randint(4, 6))]
    joined = rng.choice(["_", "-", ".", "/", "::"]).join(words)
    return rng.choice(
        [
            joined,
            f"import {joined}",
            f"job {joined}-{chars(rng, 'h', 8)} done",
            f"sk-learn-{words[0]}-{words[1]}-pipeline",
            f"ghost_{joined}",
            f"xox-{words[0]}",
            f"{''.join(word.title() for word in words)}Factory",
        ]
    )


@negative
def _headers(rng: Random) -> str:
    return (
        f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: Mon, 02 Mar 2026 10:00:00 GMT\r\nserver: {rng.choice(SERVICES)}\r\n"
        f"x-ratelimit-remaining-tokens: {rng.randint(1, 99999)}\r\nx-request-id: {uuid(rng)}\r\ncontent-length: {rng.randint(10, 9999)}\r\n"
        f'www-authenticate: Bearer realm="{rng.choice(WORDS)}"\r\nvary: Authorization, Cookie\r\n\r\n'
    )


@negative
def _event_stream(rng: Random) -> str:
    one = f"chatcmpl-{chars(rng, 'a', 29)}"
    return "\n\n".join(
        f'data: {{"id":"{one}","object":"chat.completion.chunk","choices":[{{"index":0,"delta":{{"content":" {rng.choice(WORDS)}"}}}}]}}'
        for _ in range(4)
    )


@negative
def _table(rng: Random) -> str:
    rows = "\n".join(
        f"| {rng.choice(WORDS)} | {rng.randint(1, 999)} | {rng.choice(PEOPLE)} |" for _ in range(4)
    )
    return f"| key | tokens | author |\n|---|---|---|\n{rows}"


def _keyed(key: str, *values: str) -> None:
    KEYED.extend((key, lambda _, value=value: value) for value in values)


_keyed("gen_ai.request.max_tokens", "4096", "128000")
_keyed("gen_ai.usage.details", '{"input_tokens": 812, "output_tokens": 93}')
_keyed("gen_ai.token.type", "input", "output")
_keyed("gen_ai.request.model", *_MODELS[:5])
_keyed("code.function.name", "read_password", "TokenStore.refresh")
_keyed("app.key_count", "17")
_keyed("tokenizer.name", "o200k_base")
_keyed("auth.method", "oauth2", "basic")
_keyed("db.collection.name", "password_resets")
_keyed("commit.author", "Lena Fuchs")
_keyed("passengers", "14")
_keyed("keyboard.layout", "de-DE")
for _name, _make in {
    "session.id": uuid,
    "gen_ai.conversation.id": lambda rng: f"conv_{chars(rng, 'h', 32)}",
    "gen_ai.response.id": lambda rng: f"chatcmpl-{chars(rng, 'a', 29)}",
    "gen_ai.tool.call.id": lambda rng: f"call_{chars(rng, 'a', 24)}",
    "service.instance.id": uuid,
    "http.response.header.x-request-id": lambda rng: f"req_{chars(rng, 'h', 32)}",
    "vcs.ref.head.revision": lambda rng: chars(rng, "h", 40),
    "container.id": lambda rng: chars(rng, "h", 64),
    "cache_key": lambda rng: f"prompt:{chars(rng, 'h', 16)}",
}.items():
    KEYED.append((_name, _make))
