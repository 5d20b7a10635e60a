"""Secrets that the text around them gives away: headers, URLs, connection strings, cookies, commands.

Each maker gives a piece of text, the secret in it, and has the page that defines the form beside it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from random import Random
from typing import NamedTuple
from urllib.parse import quote

from .values import PEOPLE, SERVICES, WORDS, chars, encoded, fill, host, password, uuid

Maker = Callable[[Random], tuple[str, str]]


class Structure(NamedTuple):
    """One form."""

    name: str
    make: Maker
    source: str


STRUCTURES: list[Structure] = []


def structure(name: str, source: str) -> Callable[[Maker], Maker]:
    """Enter a maker into the table."""

    def enter(make: Maker) -> Maker:
        STRUCTURES.append(Structure(name, make, source))
        return make

    return enter


def jwt(rng: Random, algorithm: str = "") -> str:
    """A signed JSON web token."""
    head = {"alg": algorithm or rng.choice(["HS256", "RS256", "ES256"]), "typ": "JWT"}
    claims = {"sub": rng.choice(PEOPLE), "iat": rng.randint(10**9, 2 * 10**9), "jti": chars(rng, "h", 12)}
    parts = [
        base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in (head, claims)
    ]
    return ".".join([*parts, encoded(rng, 32 if head["alg"] == "HS256" else 64, url=True)])


def hexadecimal(rng: Random) -> str:
    """Hexadecimal digits as signatures have them."""
    return chars(rng, "h", rng.choice([32, 40, 64]))


@structure("jwt", "https://datatracker.ietf.org/doc/html/rfc7519")
def _jwt(rng: Random) -> tuple[str, str]:
    token = jwt(rng)
    lead = rng.choice(["", "token ", "id_token=", "jwt: ", "Decoded from "])
    return lead + token, token


@structure("jwe", "https://datatracker.ietf.org/doc/html/rfc7516")
def _jwe(rng: Random) -> tuple[str, str]:
    head = base64.urlsafe_b64encode(b'{"alg":"RSA-OAEP","enc":"A256GCM"}').decode().rstrip("=")
    parts = [head, *(encoded(rng, size, url=True) for size in (128, 12, 60, 16))]
    token = ".".join(parts)
    return token, token


@structure("bearer", "https://datatracker.ietf.org/doc/html/rfc6750")
def _bearer(rng: Random) -> tuple[str, str]:
    token = rng.choice(
        [chars(rng, "a", rng.randint(20, 60)), encoded(rng, 30, url=True), chars(rng, "h", 40)]
    )
    lead = rng.choice(
        ["Authorization: Bearer ", "authorization: bearer ", '"Authorization": "Bearer ', "Bearer "]
    )
    return lead + token + ('"' if '"' in lead else ""), token


@structure("authorization-scheme", "https://datatracker.ietf.org/doc/html/rfc9110#name-authorization")
def _scheme(rng: Random) -> tuple[str, str]:
    token = rng.choice([chars(rng, "h", 40), chars(rng, "a", 36)])
    scheme = rng.choice(["Token ", "ApiKey ", "token ", "", "GenieKey ", "Token token=", "Bot "])
    return f"{rng.choice(['Authorization', 'Proxy-Authorization', 'authorization'])}: {scheme}{token}", token


@structure("basic", "https://datatracker.ietf.org/doc/html/rfc7617")
def _basic(rng: Random) -> tuple[str, str]:
    token = base64.b64encode(f"{rng.choice(PEOPLE)}:{password(rng)}".encode()).decode()
    return rng.choice(["Authorization: Basic ", "Proxy-Authorization: Basic ", "Basic "]) + token, token


@structure(
    "aws-sigv4", "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html"
)
def _sigv4(rng: Random) -> tuple[str, str]:
    signature = chars(rng, "h", 64)
    lead = f"Authorization: AWS4-HMAC-SHA256 Credential=AKIA{chars(rng, 's', 16)}/20260102/eu-west-1/s3/aws4_request"
    return f"{lead}, SignedHeaders=host;x-amz-date, Signature={signature}", signature


@structure("header-key", "https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html")
def _header(rng: Random) -> tuple[str, str]:
    name = rng.choice(
        "X-API-Key x-api-key X-Auth-Token api-key X-Access-Token Ocp-Apim-Subscription-Key X-Goog-Api-Key "
        "X-Amz-Security-Token X-Registry-Auth X-CSRF-Token X-Functions-Key".split()
    )
    token = rng.choice([chars(rng, "a", rng.randint(24, 48)), chars(rng, "h", 32), encoded(rng, 24)])
    return f"{name}: {token}", token


@structure("url-userinfo", "https://datatracker.ietf.org/doc/html/rfc3986#section-3.2.1")
def _userinfo(rng: Random) -> tuple[str, str]:
    word = password(rng)
    word = quote(word, safe="!*-._~")
    scheme = rng.choice(
        "postgres postgresql mysql mongodb mongodb+srv redis rediss amqp amqps https http ftp sftp smtp "
        "clickhouse postgresql+asyncpg mysql+pymysql ldap socks5 nats kafka".split()
    )
    user = rng.choice([*PEOPLE, "app", "root", "svc_writer", "x-access-token", ""])
    tail = rng.choice(["", ":5432/orders", "/vhost", ":6379/0", "/repo.git", "/db?sslmode=require", ":27017"])
    return f"{scheme}://{user}:{word}@{host(rng)}{tail}", word


@structure("url-userinfo-token", "https://git-scm.com/docs/gitcredentials")
def _usertoken(rng: Random) -> tuple[str, str]:
    token = chars(rng, "a", rng.randint(24, 40))
    return f"https://{token}@{host(rng)}/{rng.choice(SERVICES)}/repo.git", token


@structure("url-query", "https://datatracker.ietf.org/doc/html/rfc6750#section-2.3")
def _query(rng: Random) -> tuple[str, str]:
    name = rng.choice(
        "api_key apikey key access_token token auth client_secret sig signature password secret code "
        "X-Api-Key refresh_token session_token appid_secret sas hmac".split()
    )
    token = rng.choice(
        [chars(rng, "a", rng.randint(20, 44)), chars(rng, "h", 32), encoded(rng, 24, url=True)]
    )
    before = rng.choice(["", "q=berlin&", "limit=10&page=2&", "client_id=web&"])
    after = rng.choice(["", "&format=json", "&lang=en#top", "&page=3"])
    return f"https://{host(rng)}/v1/{rng.choice(SERVICES)}?{before}{name}={token}{after}", token


@structure("url-fragment", "https://datatracker.ietf.org/doc/html/rfc6749#section-4.2.2")
def _fragment(rng: Random) -> tuple[str, str]:
    token = rng.choice([chars(rng, "a", 40), encoded(rng, 36, url=True)])
    return f"https://{host(rng)}/callback#access_token={token}&token_type=bearer&expires_in=3600", token


@structure("url-link", "https://cheatsheetseries.owasp.org/cheatsheets/Forgot_Password_Cheat_Sheet.html")
def _link(rng: Random) -> tuple[str, str]:
    token = encoded(rng, 32, url=True)
    path = rng.choice(
        ["reset-password?token=", "verify?email=a%40b.c&token=", "magic-link?auth=", "invite?code="]
    )
    return f"https://{host(rng)}/{path}{token}", token


@structure("signed-s3", "https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html")
def _s3(rng: Random) -> tuple[str, str]:
    signature = chars(rng, "h", 64)
    query = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20260102T030405Z&X-Amz-Expires=900&X-Amz-Signature={signature}"
    return f"https://{rng.choice(WORDS)}.s3.amazonaws.com/{uuid(rng)}.pdf?{query}", signature


@structure("signed-gcs", "https://cloud.google.com/storage/docs/access-control/signed-urls")
def _gcs(rng: Random) -> tuple[str, str]:
    signature = chars(rng, "h", 256)
    return (
        f"https://storage.googleapis.com/{rng.choice(WORDS)}/a.png?X-Goog-Expires=900&X-Goog-Signature={signature}",
        signature,
    )


@structure("signed-azure", "https://learn.microsoft.com/en-us/azure/storage/common/storage-sas-overview")
def _sas(rng: Random) -> tuple[str, str]:
    signature = quote(encoded(rng, 32), safe="")
    end = rng.choice(["", "&spr=https"])
    return (
        f"https://{chars(rng, 'l', 9)}.blob.core.windows.net/c/f.csv?sv=2024-11-04&se=2026-12-31&sp=r&sig={signature}{end}",
        signature,
    )


@structure(
    "signed-cloudfront",
    "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-signed-urls.html",
)
def _cloudfront(rng: Random) -> tuple[str, str]:
    signature = encoded(rng, 128, url=True).replace("-", "~") + "__"
    return (
        f"https://{chars(rng, 'l', 13)}.cloudfront.net/v.mp4?Expires=1790000000&Signature={signature}&Key-Pair-Id=K{chars(rng, 's', 13)}",
        signature,
    )


@structure("cookie", "https://datatracker.ietf.org/doc/html/rfc6265")
def _cookie(rng: Random) -> tuple[str, str]:
    token = rng.choice([chars(rng, "a", 32), encoded(rng, 40, url=True), "s%3A" + chars(rng, "w", 32)])
    name = rng.choice(
        "sessionid JSESSIONID connect.sid PHPSESSID auth_token _app_session remember_token sid".split()
    )
    before = rng.choice(["", "theme=dark; ", "_ga=GA1.2.3; lang=de; "])
    return f"Cookie: {before}{name}={token}{rng.choice(['', '; consent=1'])}", token


@structure("set-cookie", "https://datatracker.ietf.org/doc/html/rfc6265")
def _set_cookie(rng: Random) -> tuple[str, str]:
    token = rng.choice([chars(rng, "a", 40), jwt(rng)])
    name = rng.choice("session __Host-session id_token SSID laravel_session".split())
    return f"{rng.choice(['Set-Cookie', 'set-cookie'])}: {name}={token}; Path=/; HttpOnly; Secure", token


@structure("ado-net", "https://learn.microsoft.com/en-us/dotnet/framework/data/adonet/connection-strings")
def _ado(rng: Random) -> tuple[str, str]:
    word = password(rng).replace(";", "").replace("=", "")
    key = rng.choice(["Password", "Pwd", "password", "PWD"])
    return (
        f"Server=tcp:{host(rng)},1433;Database=orders;User ID={rng.choice(PEOPLE)};{key}={word};Encrypt=True;",
        word,
    )


@structure("libpq", "https://www.postgresql.org/docs/current/libpq-connect.html")
def _libpq(rng: Random) -> tuple[str, str]:
    word = chars(rng, "a", 16)
    return f"host={host(rng)} port=5432 dbname=orders user=app password={word} sslmode=require", word


@structure("jdbc", "https://jdbc.postgresql.org/documentation/use/")
def _jdbc(rng: Random) -> tuple[str, str]:
    word = chars(rng, "a", 18)
    return rng.choice(
        [
            f"jdbc:postgresql://{host(rng)}:5432/app?user=app&password={word}&ssl=true",
            f"jdbc:sqlserver://{host(rng)};user=sa;password={word};encrypt=true",
            f"jdbc:oracle:thin:scott/{word}@{host(rng)}:1521:orcl",
        ]
    ), word


@structure(
    "azure-account-key",
    "https://learn.microsoft.com/en-us/azure/storage/common/storage-configure-connection-string",
)
def _account(rng: Random) -> tuple[str, str]:
    key = encoded(rng, 64)
    return (
        f"DefaultEndpointsProtocol=https;AccountName={chars(rng, 'l', 8)};AccountKey={key};EndpointSuffix=core.windows.net",
        key,
    )


@structure("azure-bus", "https://learn.microsoft.com/en-us/azure/service-bus-messaging/service-bus-sas")
def _bus(rng: Random) -> tuple[str, str]:
    key = encoded(rng, 32)
    return (
        f"Endpoint=sb://{rng.choice(WORDS)}.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey={key}",
        key,
    )


@structure("slack-webhook", "https://api.slack.com/messaging/webhooks")
def _slack(rng: Random) -> tuple[str, str]:
    tail = fill(rng, "T{u9}/B{u10}/{a24}")
    return f"https://hooks.slack.com/services/{tail}", tail.rpartition("/")[2]


@structure("discord-webhook", "https://discord.com/developers/docs/resources/webhook")
def _discord(rng: Random) -> tuple[str, str]:
    tail = chars(rng, "w", 68)
    return f"https://discord.com/api/webhooks/{chars(rng, 'd', 19)}/{tail}", tail


@structure("telegram-url", "https://core.telegram.org/bots/api#making-requests")
def _telegram(rng: Random) -> tuple[str, str]:
    token = fill(rng, "AA{w33}")
    return f"https://api.telegram.org/bot{chars(rng, 'd', 10)}:{token}/sendMessage", token


@structure("otpauth", "https://github.com/google/google-authenticator/wiki/Key-Uri-Format")
def _otp(rng: Random) -> tuple[str, str]:
    seed = chars(rng, "s", 32)
    return f"otpauth://totp/Acme:{rng.choice(PEOPLE)}?secret={seed}&issuer=Acme", seed


@structure("form-body", "https://datatracker.ietf.org/doc/html/rfc6749#section-4.3")
def _form(rng: Random) -> tuple[str, str]:
    word = quote(password(rng), safe="!*-._~")
    return f"grant_type=password&username={rng.choice(PEOPLE)}&password={word}&scope=read", word
