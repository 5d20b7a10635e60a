"""Credentials that look like any random word, so that only the name beside them tells; and unknown vendors.

Same columns as in ``vendors.py``; ``{p}`` in a template stands for a password that somebody chose.
"""

from __future__ import annotations

from random import Random

from .values import WORDS, chars, encoded, fill, password
from .vendors import Vendor, parse

_TABLE = """
mistral | {a32} | MISTRAL_API_KEY mistral_api_key mistralApiKey | https://docs.mistral.ai/getting-started/quickstart
cohere | {a40} | COHERE_API_KEY CO_API_KEY cohereKey | https://docs.cohere.com/reference/about
azure-openai | {h32} | AZURE_OPENAI_API_KEY api-key azureOpenAIApiKey | https://learn.microsoft.com/en-us/azure/ai-services/openai/reference
deepgram | {h40} | DEEPGRAM_API_KEY deepgramKey | https://developers.deepgram.com/docs/create-additional-api-keys
assemblyai | {h32} | ASSEMBLYAI_API_KEY aai_api_key | https://www.assemblyai.com/docs/api-reference/overview
wandb | {h40} | WANDB_API_KEY wandb_api_key | https://docs.wandb.ai/quickstart
serper | {h40} | SERPER_API_KEY X-API-KEY | https://serper.dev/
aws-secret | {b40} | AWS_SECRET_ACCESS_KEY aws_secret_access_key SecretAccessKey secretAccessKey | https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html
aws-session | {b300-400} | AWS_SESSION_TOKEN SessionToken aws_session_token | https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_use-resources.html
azure-storage | {b86}== | AZURE_STORAGE_KEY account_key AccountKey | https://learn.microsoft.com/en-us/azure/storage/common/storage-account-keys-manage
cloudflare | {w40} | CLOUDFLARE_API_TOKEN CF_API_TOKEN cloudflare_api_token | https://developers.cloudflare.com/fundamentals/api/get-started/create-token/
linode | {h64} | LINODE_TOKEN linode_token | https://techdocs.akamai.com/linode-api/reference/get-started
hetzner | {a64} | HCLOUD_TOKEN hcloud_token | https://docs.hetzner.cloud/
scaleway | {g} | SCW_SECRET_KEY secret_key | https://www.scaleway.com/en/docs/iam/how-to/create-api-keys/
datadog | {h32} | DD_API_KEY DATADOG_API_KEY dd_api_key | https://docs.datadoghq.com/account_management/api-app-keys/
datadog-app | {h40} | DD_APP_KEY application_key | https://docs.datadoghq.com/account_management/api-app-keys/
twilio | {h32} | TWILIO_AUTH_TOKEN authToken auth_token | https://www.twilio.com/docs/iam/access-tokens
postmark | {g} | POSTMARK_SERVER_TOKEN X-Postmark-Server-Token | https://postmarkapp.com/developer/api/overview
plaid | {h30} | PLAID_SECRET plaid_secret | https://plaid.com/docs/api/
algolia | {h32} | ALGOLIA_ADMIN_KEY ALGOLIA_ADMIN_API_KEY | https://www.algolia.com/doc/guides/security/api-keys/
confluent | {b64} | CONFLUENT_CLOUD_API_SECRET sasl.password | https://docs.confluent.io/cloud/current/security/authenticate/workload-identities/service-accounts/api-keys/overview.html
okta | 00{w40} | OKTA_API_TOKEN okta_token | https://developer.okta.com/docs/guides/create-an-api-token/
pagerduty | {w20} | PAGERDUTY_TOKEN pagerduty_api_key | https://support.pagerduty.com/main/docs/api-access-keys
oauth-secret | {w32-48} | client_secret clientSecret CLIENT_SECRET OAUTH_CLIENT_SECRET | https://datatracker.ietf.org/doc/html/rfc6749
oauth-refresh | {w40-90} | refresh_token refreshToken REFRESH_TOKEN | https://datatracker.ietf.org/doc/html/rfc6749
oauth-access | {w40-90} | access_token accessToken ACCESS_TOKEN | https://datatracker.ietf.org/doc/html/rfc6749
django | {a50} | SECRET_KEY DJANGO_SECRET_KEY secret_key_base | https://docs.djangoproject.com/en/stable/ref/settings/#secret-key
jwt-signing | {b43}= | JWT_SECRET jwtSecret JWT_SIGNING_KEY signing_key | https://datatracker.ietf.org/doc/html/rfc7518
encryption | {h64} | ENCRYPTION_KEY encryption_key MASTER_KEY masterKey | https://guides.rubyonrails.org/security.html
webhook | {h40-64} | WEBHOOK_SECRET webhook_secret webhookSecret hmac_secret | https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
session | {a26-40} | session_token sessionToken SESSION_SECRET sid_secret | https://owasp.org/www-community/attacks/Session_hijacking_attack
internal-token | {w24-40} | INTERNAL_API_TOKEN service_token serviceToken api_token apiToken | https://cheatsheetseries.owasp.org/cheatsheets/Secrets_Management_Cheat_Sheet.html
bot-token | {a32-60} | BOT_TOKEN botToken bot_token | https://cheatsheetseries.owasp.org/cheatsheets/Secrets_Management_Cheat_Sheet.html
db-password | {p} | DB_PASSWORD db_password POSTGRES_PASSWORD MYSQL_ROOT_PASSWORD dbPassword spring.datasource.password | https://hub.docker.com/_/postgres
redis-password | {p} | REDIS_PASSWORD requirepass redis.password | https://redis.io/docs/latest/operate/oss_and_stack/management/security/
smtp-password | {p} | SMTP_PASSWORD smtp_pass EMAIL_HOST_PASSWORD MAIL_PASSWORD | https://docs.djangoproject.com/en/stable/ref/settings/#email-host-password
user-password | {p} | password passwd pwd userPassword new_password current_password | https://cheatsheetseries.owasp.org/cheatsheets/Authentication_Cheat_Sheet.html
admin-password | {p} | ADMIN_PASSWORD admin_pass GF_SECURITY_ADMIN_PASSWORD root_password | https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/
passphrase | {p} | passphrase PASSPHRASE key_passphrase keystorePassword | https://docs.oracle.com/en/java/javase/21/docs/specs/man/keytool.html
secret-only | {a20-44} | secret SECRET app_secret appSecret shared_secret consumerSecret | https://cheatsheetseries.owasp.org/cheatsheets/Secrets_Management_Cheat_Sheet.html
"""

NAMELESS = parse(_TABLE)
UNKNOWN_SOURCE = "https://cheatsheetseries.owasp.org/cheatsheets/Secrets_Management_Cheat_Sheet.html"


def nameless_value(rng: Random, family: Vendor) -> str:
    """A value of the family."""
    if family.template == "{p}":
        return password(rng)
    return fill(rng, family.template)


def unknown_vendor(rng: Random) -> tuple[str, str]:
    """A key of a vendor that does not exist, and the name under which it would stand."""
    vendor = rng.choice(WORDS)[: rng.randint(2, 5)] + rng.choice(["", "", "x", "ly", "io"])
    kind = rng.choice(["live", "prod", "secret", "key", "pat", "sk", "api", "v1"])
    body = rng.choice([chars(rng, "a", rng.randint(28, 48)), chars(rng, "h", rng.choice([32, 40, 48, 64]))])
    if rng.random() < 0.2:
        body = encoded(rng, rng.randint(24, 36), url=True)
    shape = rng.choice(
        [f"{vendor}_{kind}_{body}", f"{vendor}_{body}", f"{vendor}-{kind}-{body}", f"{kind}_{vendor}_{body}"]
    )
    name = rng.choice(
        [f"{vendor.upper()}_API_KEY", f"{vendor}_api_key", f"{vendor}Token", f"{vendor.upper()}_TOKEN"]
    )
    return shape, name
