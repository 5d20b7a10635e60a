"""Well-known credentials as data: rule, prefix, shape of what follows, and the document that says so.

One row is one prefix. The shape is a class of characters and the least number of them; the match is open at
its end and the least number is well below the issued length, since a truncated secret is still most of a
secret. Checksums are not needed for the same reason.

No row spells an example out: scanners of repositories would take it for a leak. :func:`example` makes up one.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

CLASSES: Final = {
    "w": "A-Za-z0-9_-",
    "a": "A-Za-z0-9",
    "h": "a-fA-F0-9",
    "u": "A-Z0-9",
    "d": "A-Za-z0-9_.=-",
    "b": "A-Za-z0-9+/=_-",
}
"""Character classes of shapes: w url-safe base64, a alphanumeric, h hex, u upper case, d dotted, b base64."""


class Row(NamedTuple):
    """One prefix of one rule."""

    rule: str
    prefix: str
    shape: str
    """A key of :data:`CLASSES`."""
    least: int
    """Fewest characters after the prefix."""
    source: str
    """Where the vendor (or who documents it) describes the form."""


_LINES: Final = """
openai-key|sk-|w|16|OpenAI API reference, Authentication
openai-key|sk-proj-|w|16|OpenAI API reference, Project API keys
openai-key|sk-svcacct-|w|16|OpenAI API reference, Service accounts
openai-key|sk-admin-|w|16|OpenAI API reference, Administration
openai-key|sess-|a|24|OpenAI API reference, Authentication
anthropic-key|sk-ant-|w|16|Anthropic API reference, Authentication
openrouter-key|sk-or-v1-|h|24|OpenRouter docs, Authentication
langsmith-key|lsv2_|w|20|LangSmith docs, Create an API key
langfuse-key|sk-lf-|w|16|Langfuse docs, API keys
huggingface-token|hf_|a|16|Hugging Face docs, User access tokens
huggingface-token|api_org_|a|16|Hugging Face docs, Organizations API tokens
groq-key|gsk_|a|16|Groq docs, API keys
xai-key|xai-|a|24|xAI docs, API keys
replicate-token|r8_|a|16|Replicate docs, API tokens
perplexity-key|pplx-|a|20|Perplexity docs, API key management
cerebras-key|csk-|a|20|Cerebras docs, API keys
nvidia-key|nvapi-|w|20|NVIDIA NIM docs, API keys
fireworks-key|fw_|a|18|Fireworks docs, API keys
together-key|tgp_v1_|w|20|Together docs, API keys
tavily-key|tvly-|w|16|Tavily docs, API keys
firecrawl-key|fc-|h|28|Firecrawl docs, API keys
pinecone-key|pcsk_|w|20|Pinecone docs, API keys
jina-key|jina_|w|24|Jina docs, API keys
voyage-key|pa-|w|36|Voyage AI docs, API keys
e2b-key|e2b_|h|24|E2B docs, API keys
cursor-key|key_|h|48|Cursor docs, API keys
aws-access-key|AKIA|u|12|AWS IAM User Guide, Unique identifiers
aws-access-key|ASIA|u|12|AWS IAM User Guide, Unique identifiers
aws-access-key|ABIA|u|12|AWS IAM User Guide, Unique identifiers
aws-access-key|ACCA|u|12|AWS IAM User Guide, Unique identifiers
aws-bedrock-key|ABSK|b|40|Amazon Bedrock User Guide, API keys
aws-bedrock-key|bedrock-api-key-|b|20|Amazon Bedrock User Guide, API keys
github-token|ghp_|a|16|GitHub docs, About authentication, Token formats
github-token|gho_|a|16|GitHub docs, About authentication, Token formats
github-token|ghu_|a|16|GitHub docs, About authentication, Token formats
github-token|ghs_|a|16|GitHub docs, About authentication, Token formats
github-token|ghr_|a|16|GitHub docs, About authentication, Token formats
github-token|github_pat_|w|20|GitHub docs, About authentication, Token formats
gitlab-token|glpat-|d|12|GitLab docs, Token overview, Token prefixes
gitlab-token|glptt-|d|12|GitLab docs, Token overview, Token prefixes
gitlab-token|gldt-|d|12|GitLab docs, Token overview, Token prefixes
gitlab-token|glrt-|d|12|GitLab docs, Token overview, Token prefixes
gitlab-token|glrtr-|d|12|GitLab docs, Token overview, Token prefixes
gitlab-token|glcbt-|d|12|GitLab docs, Token overview, Token prefixes
gitlab-token|glft-|d|12|GitLab docs, Token overview, Token prefixes
gitlab-token|glimt-|d|12|GitLab docs, Token overview, Token prefixes
gitlab-token|glagent-|d|12|GitLab docs, Token overview, Token prefixes
gitlab-token|glsoat-|d|12|GitLab docs, Token overview, Token prefixes
gitlab-token|glffct-|d|12|GitLab docs, Token overview, Token prefixes
gitlab-token|gloas-|d|12|GitLab docs, Token overview, Token prefixes
gitlab-token|glwt-|d|12|GitLab docs, Token overview, Token prefixes
gitlab-token|GR1348941|w|12|GitLab docs, Runner registration tokens
slack-token|xoxb-|w|10|Slack docs, Token types
slack-token|xoxp-|w|10|Slack docs, Token types
slack-token|xoxa-|w|10|Slack docs, Token types
slack-token|xoxr-|w|10|Slack docs, Token types
slack-token|xoxs-|w|10|Slack docs, Token types
slack-token|xoxo-|w|10|Slack docs, Token types
slack-token|xoxc-|w|10|Slack docs, Token types
slack-token|xoxd-|b|10|Slack docs, Token types
slack-token|xoxe-|w|10|Slack docs, Token rotation
slack-token|xoxe.xoxb-|w|10|Slack docs, Token rotation
slack-token|xoxe.xoxp-|w|10|Slack docs, Token rotation
slack-token|xapp-|w|10|Slack docs, Token types
google-key|AIza|w|20|Google Cloud docs, API keys
google-token|ya29.|d|16|Google Identity docs, OAuth 2.0 tokens
google-token|1//0|w|20|Google Identity docs, Refresh tokens
google-secret|GOCSPX-|w|16|Google Identity docs, OAuth client secrets
google-key|AQ.Ab|d|24|Google AI docs, API keys
stripe-key|sk_live_|a|10|Stripe docs, API keys
stripe-key|sk_test_|a|10|Stripe docs, API keys
stripe-key|sk_prod_|a|10|Stripe docs, API keys
stripe-key|rk_live_|a|10|Stripe docs, Restricted API keys
stripe-key|rk_test_|a|10|Stripe docs, Restricted API keys
stripe-key|rk_prod_|a|10|Stripe docs, Restricted API keys
stripe-secret|whsec_|b|16|Stripe docs, Webhook signatures
sendgrid-key|SG.|d|18|Twilio SendGrid docs, API keys
brevo-key|xkeysib-|w|24|Brevo docs, API keys
brevo-key|xsmtpsib-|w|24|Brevo docs, SMTP keys
twilio-key|SK|h|32|Twilio docs, API keys
npm-token|npm_|a|16|npm docs, About access tokens
pypi-token|pypi-|w|24|PyPI help, API tokens
rubygems-key|rubygems_|h|24|RubyGems guides, API keys
nuget-key|oy2|a|40|NuGet docs, API keys
docker-token|dckr_pat_|w|16|Docker docs, Personal access tokens
docker-token|dckr_oat_|w|16|Docker docs, Organization access tokens
digitalocean-token|dop_v1_|h|24|DigitalOcean docs, Tokens
digitalocean-token|doo_v1_|h|24|DigitalOcean docs, OAuth
digitalocean-token|dor_v1_|h|24|DigitalOcean docs, OAuth refresh
cloudflare-key|v1.0-|w|48|Cloudflare docs, Origin CA keys
cloudflare-token|cfut_|w|20|Cloudflare docs, API token formats
cloudflare-token|cfat_|w|20|Cloudflare docs, API token formats
databricks-token|dapi|h|20|Databricks docs, Personal access tokens
databricks-token|dkea|h|20|Databricks docs, Tokens
datadog-token|ddpat_|w|16|Datadog docs, Personal access tokens
datadog-token|ddapp_|w|16|Datadog docs, Application keys
newrelic-key|NRAK-|a|16|New Relic docs, API keys
newrelic-key|NRJS-|h|14|New Relic docs, Browser keys
newrelic-key|NRII-|w|16|New Relic docs, Insert keys
newrelic-key|NRIQ-|w|16|New Relic docs, Query keys
dynatrace-token|dt0c01.|d|24|Dynatrace docs, Access tokens, Token format
dynatrace-token|dt0s01.|d|24|Dynatrace docs, Access tokens, Token format
dynatrace-token|dt0s16.|d|24|Dynatrace docs, Platform tokens
grafana-key|glc_|b|24|Grafana Cloud docs, Access policies
grafana-key|glsa_|w|24|Grafana docs, Service account tokens
sentry-token|sntrys_|b|24|Sentry docs, Auth tokens
sentry-token|sntryu_|h|24|Sentry docs, Auth tokens
honeycomb-key|hcaik_|a|24|Honeycomb docs, API keys
posthog-key|phx_|w|24|PostHog docs, Personal API keys
posthog-key|phc_|w|24|PostHog docs, Project API keys
shopify-token|shpat_|h|16|Shopify docs, Access tokens
shopify-token|shpca_|h|16|Shopify docs, Access tokens
shopify-token|shppa_|h|16|Shopify docs, Access tokens
shopify-token|shpss_|h|16|Shopify docs, Shared secrets
square-token|sq0atp-|w|16|Square docs, Access tokens
square-token|sq0csp-|w|20|Square docs, OAuth secrets
square-token|EAAA|w|40|Square docs, Access tokens
meta-token|EAAC|a|60|Meta for Developers, Access tokens
meta-token|EAAM|a|60|Meta for Developers, Access tokens
mailgun-key|key-|h|24|Mailgun docs, API keys
mailgun-key|pubkey-|h|24|Mailgun docs, API keys
mailchimp-key|md-|w|20|Mailchimp Transactional docs, API keys
resend-key|re_|w|20|Resend docs, API keys
postman-key|PMAK-|w|24|Postman docs, API keys
notion-token|ntn_|a|24|Notion docs, Authentication
notion-token|secret_|a|30|Notion docs, Authentication
linear-key|lin_api_|a|20|Linear docs, API keys
linear-key|lin_oauth_|a|20|Linear docs, OAuth
figma-token|figd_|w|20|Figma docs, Personal access tokens
airtable-token|pat|d|60|Airtable docs, Personal access tokens
atlassian-token|ATATT3|b|30|Atlassian docs, API tokens
atlassian-token|ATCTT3|b|30|Bitbucket docs, Access tokens
bitbucket-token|ATBB|a|20|Bitbucket docs, App passwords
asana-token|1/|a|60|Asana docs, Personal access tokens
vault-token|hvs.|w|16|HashiCorp Vault docs, Tokens
vault-token|hvb.|w|24|HashiCorp Vault docs, Batch tokens
vault-token|hvr.|w|16|HashiCorp Vault docs, Recovery tokens
terraform-token|atlasv1.|d|20|HCP Terraform docs, API tokens
doppler-token|dp.pt.|a|20|Doppler docs, Auth token formats
doppler-token|dp.st.|d|20|Doppler docs, Auth token formats
doppler-token|dp.ct.|a|20|Doppler docs, Auth token formats
doppler-token|dp.sa.|a|20|Doppler docs, Auth token formats
pulumi-token|pul-|h|20|Pulumi docs, Access tokens
prefect-key|pnu_|a|18|Prefect docs, API keys
prefect-key|pnb_|a|18|Prefect docs, API keys
planetscale-token|pscale_tkn_|d|16|PlanetScale docs, Service tokens
planetscale-token|pscale_pw_|d|16|PlanetScale docs, Passwords
planetscale-token|pscale_oauth_|d|16|PlanetScale docs, OAuth
supabase-key|sbp_|h|24|Supabase docs, Access tokens
supabase-key|sb_secret_|w|16|Supabase docs, API keys
neon-key|napi_|a|24|Neon docs, API keys
turso-token|tsk_|a|24|Turso docs, API tokens
flyio-token|fo1_|w|24|Fly.io docs, Access tokens
flyio-token|fm2_|b|24|Fly.io docs, Access tokens
vercel-token|vcp_|a|20|Vercel docs, Access tokens
netlify-token|nfp_|a|20|Netlify docs, Access tokens
heroku-key|HRKU-|w|20|Heroku docs, OAuth authorizations
tailscale-key|tskey-|w|14|Tailscale docs, Keys
launchdarkly-key|api-|w|34|LaunchDarkly docs, API access tokens
launchdarkly-key|sdk-|w|34|LaunchDarkly docs, SDK keys
sonar-token|squ_|h|24|SonarQube docs, User tokens
sonar-token|sqp_|h|24|SonarQube docs, Project tokens
jfrog-token|AKCp|a|40|JFrog docs, API keys
jfrog-token|cmVmdGtu|a|30|JFrog docs, Reference tokens
artifactory-token|eyJ2ZXIi|d|20|JFrog docs, Access tokens
circleci-token|CCIPAT_|w|20|CircleCI docs, API tokens
buildkite-token|bkua_|h|24|Buildkite docs, API access tokens
postmark-token|POSTMARK_|w|16|Postmark docs, API
duffel-token|duffel_|w|24|Duffel docs, Access tokens
easypost-key|EZAK|a|30|EasyPost docs, API keys
easypost-key|EZTK|a|30|EasyPost docs, API keys
shippo-token|shippo_|w|24|Shippo docs, API tokens
flutterwave-key|FLWSECK|w|12|Flutterwave docs, API keys
flutterwave-key|FLWPUBK|w|12|Flutterwave docs, API keys
paystack-key|sk_|a|24|Paystack docs, API keys
readme-key|rdme_|a|30|ReadMe docs, API keys
scalingo-token|tk-us-|w|20|Scalingo docs, API tokens
intra42-secret|s-s4t2|h|24|42 API docs, Applications
adobe-secret|p8e-|a|20|Adobe docs, OAuth credentials
infracost-key|ico-|a|20|Infracost docs, API keys
octopus-key|API-|u|20|Octopus Deploy docs, API keys
authress-key|sc_|d|40|Authress docs, Service clients
settlemint-token|sm_|w|18|SettleMint docs, Access tokens
contentful-token|CFPAT-|w|20|Contentful docs, Personal access tokens
typeform-token|tfp_|d|24|Typeform docs, Personal access tokens
sourcegraph-token|sgp_|w|24|Sourcegraph docs, Access tokens
clickhouse-key|4b1d|a|30|ClickHouse Cloud docs, API keys
alibaba-key|LTAI|a|12|Alibaba Cloud docs, AccessKey pairs
tencent-key|AKID|a|24|Tencent Cloud docs, CAM keys
yandex-key|AQVN|w|24|Yandex Cloud docs, API keys
yandex-key|YCA|w|30|Yandex Cloud docs, Static access keys
yandex-token|t1.|d|60|Yandex Cloud docs, IAM tokens
harness-key|pat.|d|40|Harness docs, API keys
harness-key|sat.|d|40|Harness docs, API keys
onepassword-key|A3-|w|26|1Password docs, Secret key
onepassword-token|ops_eyJ|b|40|1Password docs, Service accounts
age-key|AGE-SECRET-KEY-1|u|24|age manual, age-keygen
facebook-token|EAA|a|80|Meta for Developers, Access tokens
private-key|LS0tLS1CRUdJTiBQUklWQVRFIEtF|b|16|RFC 7468, as Kubernetes and others hold it in base64
private-key|LS0tLS1CRUdJTiBSU0EgUFJJVkFU|b|16|RFC 7468, as Kubernetes and others hold it in base64
private-key|LS0tLS1CRUdJTiBFQyBQUklWQVRF|b|16|RFC 7468, as Kubernetes and others hold it in base64
private-key|LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZB|b|16|RFC 7468, as Kubernetes and others hold it in base64
private-key|LS0tLS1CRUdJTiBFTkNSWVBURUQgUFJJVkFU|b|16|RFC 7468, as Kubernetes and others hold it in base64
private-key|LS0tLS1CRUdJTiBEU0EgUFJJVkFU|b|16|RFC 7468, as Kubernetes and others hold it in base64
private-key|LS0tLS1CRUdJTiBQR1AgUFJJVkFU|b|16|RFC 7468, as Kubernetes and others hold it in base64
mapbox-token|sk.eyJ|d|24|Mapbox docs, Access tokens
stytch-secret|secret-live-|w|20|Stytch docs, API authentication
stytch-secret|secret-test-|w|20|Stytch docs, API authentication
paddle-key|pdl_live_apikey_|w|16|Paddle docs, API keys
paddle-key|pdl_sdbx_apikey_|w|16|Paddle docs, API keys
mollie-key|live_|a|24|Mollie docs, Authentication
cockroach-key|CCDB1_|w|20|CockroachDB Cloud docs, API access
frameio-token|fio-u-|w|20|Frame.io docs, Developer tokens
modal-token|ak-|a|20|Modal docs, Tokens
modal-token|as-|a|20|Modal docs, Tokens
intercom-token|dG9rO|b|24|Intercom docs, Access tokens
twitter-token|AAAAAAAAAAAAAAAAAAAAA|w|30|X docs, Bearer tokens
dropbox-token|sl.|d|60|Dropbox docs, OAuth guide
runpod-key|rpa_|a|24|RunPod docs, API keys
llamaindex-key|llx-|a|24|LlamaCloud docs, API keys
brave-key|BSA|w|24|Brave Search docs, API keys
apify-token|apify_api_|a|16|Apify docs, API integration
browserbase-key|bb_live_|w|20|Browserbase docs, API keys
logfire-token|pylf_v|w|24|Logfire docs, Write tokens
wandb-key|wandb_v1_|w|24|Weights and Biases docs, API keys
plaid-token|access-production-|w|24|Plaid docs, Tokens
plaid-token|access-sandbox-|w|24|Plaid docs, Tokens
elastic-key|essu_|b|24|Elastic Cloud docs, API keys
confluent-secret|cflt|b|40|Confluent docs, API keys
mongodb-secret|mdb_sa_sk_|w|16|MongoDB Atlas docs, Service accounts
scaleway-key|SCW|u|16|Scaleway docs, API keys
akamai-token|akab-|w|20|Akamai docs, EdgeGrid
render-key|rnd_|a|20|Render docs, API
honeybadger-token|hbp_|a|24|Honeybadger docs, API keys
hubspot-token|pat-na|w|30|HubSpot docs, Private apps
hubspot-token|pat-eu|w|30|HubSpot docs, Private apps
adyen-key|AQE|b|60|Adyen docs, API credentials
checkout-key|sk_sbox_|w|12|Checkout.com docs, API keys
razorpay-key|rzp_live_|a|12|Razorpay docs, API keys
razorpay-key|rzp_test_|a|12|Razorpay docs, API keys
xendit-key|xnd_production_|b|20|Xendit docs, API keys
xendit-key|xnd_development_|b|20|Xendit docs, API keys
midtrans-key|Mid-server-|w|14|Midtrans docs, Access keys
klarna-key|klarna_live_api_|b|20|Klarna docs, API keys
klarna-key|klarna_test_api_|b|20|Klarna docs, API keys
sumup-key|sup_sk_|a|20|SumUp docs, API keys
infisical-token|st.|d|50|Infisical docs, Service tokens
doppler-token|dp.audit.|a|20|Doppler docs, Auth token formats
doppler-token|dp.scim.|a|20|Doppler docs, Auth token formats
grafana-key|eyJrIjoi|b|40|Grafana docs, API keys
cargo-token|cio|a|30|crates.io docs, API tokens
clojars-token|CLOJARS_|h|30|Clojars docs, Deploy tokens
jetbrains-token|perm-|d|30|JetBrains docs, Permanent tokens
aws-session-token|FwoGZXIvYXdz|b|40|AWS STS docs, Temporary credentials
aws-session-token|IQoJb3JpZ2lu|b|40|AWS STS docs, Temporary credentials
baidu-key|bce-v3/|b|24|Baidu Qianfan docs, API keys
baidu-key|ALTAK|w|20|Baidu Cloud docs, Access keys
volcengine-key|AKLT|b|24|Volcengine docs, Access keys
circleci-token|CCIPRJ_|w|20|CircleCI docs, API tokens
sonar-token|sqa_|h|24|SonarQube docs, Global analysis tokens
snyk-token|snyk_uat.|d|24|Snyk docs, Personal access tokens
letta-key|sk-let-|b|24|Letta docs, API keys
cartesia-key|sk_car_|w|16|Cartesia docs, API keys
helicone-key|sk-helicone-|w|20|Helicone docs, API keys
databricks-token|dose|h|32|Databricks docs, OAuth secrets of service principals
ibm-key|ApiKey-|w|32|IBM Cloud docs, API keys
arize-key|ak-|w|60|Arize docs, API keys
tinybird-token|p.eyJ|d|40|Tinybird docs, Tokens
trigger-key|tr_prod_|a|16|Trigger.dev docs, API keys
trigger-key|tr_dev_|a|16|Trigger.dev docs, API keys
inngest-key|signkey-|w|24|Inngest docs, Signing keys
neptune-token|eyJhcGlfYWRkcmVzcyI6|b|40|Neptune docs, API tokens
axiom-token|xaat-|w|24|Axiom docs, API tokens
axiom-token|xapt-|w|24|Axiom docs, Personal access tokens
cloudflare-key|cfk_|w|20|Cloudflare docs, API token formats
context7-key|ctx7sk-|w|20|Context7 docs, API keys
ai71-key|api71-api-|w|20|AI71 docs, API keys
convex-key|eyJ2MiI6|b|24|Convex docs, Deploy keys
pubnub-key|sec-c-|b|30|PubNub docs, Secret keys
mem0-key|m0-|a|30|Mem0 docs, API keys
k3s-token|K10|h|56|K3s docs, Server and agent tokens
telnyx-key|KEY01|w|40|Telnyx docs, API keys
configcat-key|configcat-sdk-1/|b|30|ConfigCat docs, SDK keys
anyscale-key|esecret_|a|20|Anyscale docs, API keys
chutes-key|cpk_|d|60|Chutes docs, API keys
creem-key|creem_|a|18|Creem docs, API keys
unkey-key|unkey_|a|18|Unkey docs, Root keys
devcycle-key|dvc_server_|w|24|DevCycle docs, SDK keys
fcm-key|APA91b|w|60|Firebase docs, Cloud Messaging
onfido-token|api_live.|d|24|Onfido docs, API tokens
trello-token|ATTA|h|40|Atlassian docs, Trello REST API tokens
meta-token|IGQV|w|60|Meta for Developers, Instagram API
meta-token|IGAA|w|80|Meta for Developers, Instagram API
google-code|4/0A|w|30|Google Identity docs, OAuth 2.0 codes
private-key|xprv|a|70|BIP 32
private-key|yprv|a|70|SLIP 132
private-key|zprv|a|70|SLIP 132
private-key|tprv|a|70|BIP 32
chromatic-token|chpt_|h|10|Chromatic docs, Project tokens
pinterest-token|pina_|w|24|Pinterest docs, Authentication
pinterest-token|pinr_|w|24|Pinterest docs, Authentication
socket-token|sktsec_|w|20|Socket docs, API tokens
incident-key|inc_|h|40|incident.io docs, API keys
omise-key|skey_test_|a|8|Omise docs, API keys
omise-key|skey_live_|a|8|Omise docs, API keys
omise-key|skey_|a|16|Omise docs, API keys
locationiq-token|pk.|h|30|LocationIQ docs, Access tokens
backblaze-key|K001|b|24|Backblaze docs, Application keys
backblaze-key|K002|b|24|Backblaze docs, Application keys
backblaze-key|K003|b|24|Backblaze docs, Application keys
backblaze-key|K004|b|24|Backblaze docs, Application keys
backblaze-key|K005|b|24|Backblaze docs, Application keys
macaroon|MDAxOGxvY2F0aW9u|b|30|Macaroons, the serialised form of libmacaroons
macaroon|MDAxY2xvY2F0aW9u|b|30|Macaroons, the serialised form of libmacaroons
macaroon|MDAyMWxvY2F0aW9u|b|30|Macaroons, the serialised form of libmacaroons
macaroon|MDAyNGxvY2F0aW9u|b|30|Macaroons, the serialised form of libmacaroons
phabricator-token|api-|a|21|Phabricator docs, Conduit API tokens
gocardless-token|live_|w|40|GoCardless docs, Access tokens
paseto|v1.local.|d|40|PASETO specification
paseto|v1.public.|d|40|PASETO specification
paseto|v2.local.|d|40|PASETO specification
paseto|v2.public.|d|40|PASETO specification
paseto|v3.local.|d|40|PASETO specification
paseto|v3.public.|d|40|PASETO specification
paseto|v4.local.|d|40|PASETO specification
paseto|v4.public.|d|40|PASETO specification
"""


def _read(lines: str) -> tuple[Row, ...]:
    rows = []
    for line in lines.split("\n"):
        if line:
            rule, prefix, shape, least, source = line.split("|")
            rows.append(Row(rule, prefix, shape, int(least), source))
    return tuple(rows)


ROWS: Final = _read(_LINES)
"""The table."""


def example(row: Row, length: int | None = None) -> str:
    """A made-up credential of ``row``: its prefix and noise of its shape, always the same for one row.

    Args:
        row: a row of the table.
        length: characters after the prefix; the least number and twelve more by default.
    """
    alphabet = {
        "h": "0123456789abcdef",
        "u": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
    }.get(row.shape, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    size = row.least + 12 if length is None else length
    noise = hashlib.shake_256(f"{row.rule}{row.prefix}".encode()).digest(size)
    return row.prefix + "".join(alphabet[byte % len(alphabet)] for byte in noise)
