"""Credentials that show what they are by prefix or shape, of payments, chat, mail, monitoring, data and CI."""

from __future__ import annotations

from .vendors import parse

_TABLE = """
stripe | sk_live_{a24} | STRIPE_SECRET_KEY stripe_key stripe.apiKey | https://docs.stripe.com/keys
stripe-long | sk_live_51{a97} | STRIPE_API_KEY stripeSecretKey | https://docs.stripe.com/keys
stripe-restricted | rk_live_{a24} | STRIPE_RESTRICTED_KEY | https://docs.stripe.com/keys/restricted-api-keys
stripe-webhook | whsec_{a32} | STRIPE_WEBHOOK_SECRET endpoint_secret | https://docs.stripe.com/webhooks
square | EAAA{w60} | SQUARE_ACCESS_TOKEN | https://developer.squareup.com/docs/build-basics/access-tokens
square-secret | sq0csp-{w43} | SQUARE_APPLICATION_SECRET | https://developer.squareup.com/docs/oauth-api/overview
braintree | access_token$production${l16}${h32} | BRAINTREE_ACCESS_TOKEN | https://developer.paypal.com/braintree/docs/start/overview
paystack | sk_live_{h40} | PAYSTACK_SECRET_KEY | https://paystack.com/docs/api/authentication/
flutterwave | FLWSECK-{h32}-X | FLW_SECRET_KEY | https://developer.flutterwave.com/docs/authentication
mollie | live_{a30} | MOLLIE_API_KEY | https://docs.mollie.com/reference/authentication
shopify | shpat_{h32} | SHOPIFY_ACCESS_TOKEN X-Shopify-Access-Token | https://shopify.dev/docs/apps/build/authentication-authorization
shopify-shared | shpss_{h32} | SHOPIFY_API_SECRET | https://shopify.dev/docs/apps/build/authentication-authorization
paddle | pdl_live_apikey_{l26}_{a22}_{a3} | PADDLE_API_KEY | https://developer.paddle.com/api-reference/about/authentication
easypost | EZAK{a54} | EASYPOST_API_KEY | https://docs.easypost.com/docs/authentication
shippo | shippo_live_{h40} | SHIPPO_TOKEN | https://docs.goshippo.com/docs/guides_general/authentication/
duffel | duffel_live_{w43} | DUFFEL_ACCESS_TOKEN | https://duffel.com/docs/api/overview/authentication
slack-bot | xoxb-{d12}-{d13}-{a24} | SLACK_BOT_TOKEN slack_token | https://api.slack.com/concepts/token-types
slack-user | xoxp-{d12}-{d12}-{d13}-{h32} | SLACK_USER_TOKEN token | https://api.slack.com/concepts/token-types
slack-app | xapp-1-A{u10}-{d13}-{h64} | SLACK_APP_TOKEN | https://api.slack.com/concepts/token-types
discord-bot | M{a25}.{w6}.{w38} | DISCORD_TOKEN bot_token | https://discord.com/developers/docs/reference#authentication
telegram | {d10}:AA{w33} | TELEGRAM_BOT_TOKEN TG_TOKEN | https://core.telegram.org/bots/api#authorizing-your-bot
twilio-key | SK{h32} | TWILIO_API_KEY twilio_api_key_sid | https://www.twilio.com/docs/iam/api-keys
sendgrid | SG.{w22}.{w43} | SENDGRID_API_KEY sendgridApiKey | https://www.twilio.com/docs/sendgrid/ui/account-and-settings/api-keys
mailgun | key-{h32} | MAILGUN_API_KEY | https://documentation.mailgun.com/docs/mailgun/api-reference/authentication/
mailchimp | {h32}-us{d2} | MAILCHIMP_API_KEY mailchimp_key | https://mailchimp.com/developer/marketing/guides/quick-start/
brevo | xkeysib-{h64}-{a16} | BREVO_API_KEY api-key | https://developers.brevo.com/docs/getting-started
resend | re_{a8}_{a24} | RESEND_API_KEY | https://resend.com/docs/api-reference/introduction
linear | lin_api_{a40} | LINEAR_API_KEY | https://linear.app/developers/graphql
notion | ntn_{d11}{a35} | NOTION_TOKEN NOTION_API_KEY | https://developers.notion.com/docs/authorization
airtable | pat{a14}.{h64} | AIRTABLE_API_KEY AIRTABLE_PAT | https://airtable.com/developers/web/api/authentication
clickup | pk_{d8}_{u32} | CLICKUP_API_TOKEN | https://developer.clickup.com/docs/authentication
typeform | tfp_{w44}_{w14} | TYPEFORM_TOKEN | https://www.typeform.com/developers/get-started/personal-access-token/
figma | figd_{w40} | FIGMA_TOKEN X-Figma-Token | https://www.figma.com/developers/api#access-tokens
dropbox | sl.{w136} | DROPBOX_ACCESS_TOKEN | https://developers.dropbox.com/oauth-guide
hubspot | pat-na1-{g} | HUBSPOT_ACCESS_TOKEN | https://developers.hubspot.com/docs/guides/apps/private-apps/overview
salesforce | 00D{a12}!{w96} | SF_ACCESS_TOKEN sessionId | https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/quickstart_oauth.htm
newrelic | NRAK-{u27} | NEW_RELIC_API_KEY | https://docs.newrelic.com/docs/apis/intro-apis/new-relic-api-keys/
sentry-user | sntryu_{h64} | SENTRY_AUTH_TOKEN | https://docs.sentry.io/account/auth-tokens/
sentry-org | sntrys_eyJ{b100}=_{b43} | SENTRY_AUTH_TOKEN auth.token | https://docs.sentry.io/account/auth-tokens/
grafana | glsa_{a32}_{h8} | GRAFANA_TOKEN GF_TOKEN | https://grafana.com/docs/grafana/latest/administration/service-accounts/
grafana-cloud | glc_eyJ{b90}== | GRAFANA_CLOUD_API_KEY | https://grafana.com/docs/grafana-cloud/account-management/authentication-and-permissions/access-policies/
honeycomb | hcaik_{l58} | HONEYCOMB_API_KEY x-honeycomb-team | https://docs.honeycomb.io/configure/environments/manage-api-keys/
dynatrace | dt0c01.{s24}.{s64} | DT_API_TOKEN | https://docs.dynatrace.com/docs/dynatrace-api/basics/dynatrace-api-authentication
posthog | phx_{a43} | POSTHOG_PERSONAL_API_KEY | https://posthog.com/docs/api
axiom | xaat-{g} | AXIOM_TOKEN | https://axiom.co/docs/reference/tokens
mapbox | sk.eyJ{w74}.{w22} | MAPBOX_ACCESS_TOKEN | https://docs.mapbox.com/help/glossary/access-token/
launchdarkly | sdk-{g} | LAUNCHDARKLY_SDK_KEY | https://launchdarkly.com/docs/sdk/concepts/client-side-server-side
contentful | CFPAT-{w43} | CONTENTFUL_MANAGEMENT_TOKEN | https://www.contentful.com/developers/docs/references/authentication/
planetscale | pscale_pw_{w43} | PLANETSCALE_PASSWORD DATABASE_PASSWORD | https://planetscale.com/docs/concepts/connection-strings
planetscale-token | pscale_tkn_{w43} | PLANETSCALE_SERVICE_TOKEN | https://planetscale.com/docs/concepts/service-tokens
neon | napi_{l64} | NEON_API_KEY | https://neon.com/docs/manage/api-keys
cockroach | CCDB1_{a22}_{a40} | COCKROACH_API_KEY | https://www.cockroachlabs.com/docs/cockroachcloud/managing-access
clerk | sk_live_{a42} | CLERK_SECRET_KEY | https://clerk.com/docs/deployments/clerk-environment-variables
stytch | secret-live-{w36} | STYTCH_SECRET | https://stytch.com/docs/api/authentication
age | AGE-SECRET-KEY-1{c58} | SOPS_AGE_KEY | https://age-encryption.org/v1
circleci | CCIPAT_{a22}_{h40} | CIRCLE_TOKEN CIRCLECI_TOKEN | https://circleci.com/docs/managing-api-tokens/
buildkite | bkua_{h40} | BUILDKITE_API_TOKEN | https://buildkite.com/docs/apis/managing-api-tokens
prefect | pnu_{a36} | PREFECT_API_KEY | https://docs.prefect.io/v3/manage/cloud/manage-users/api-keys
postman | PMAK-{h24}-{h34} | POSTMAN_API_KEY | https://learning.postman.com/docs/reference/postman-api/authentication/
frameio | fio-u-{w64} | FRAMEIO_TOKEN | https://developer.frame.io/docs/getting-started/authentication
facebook | EAA{a150} | FB_ACCESS_TOKEN page_access_token | https://developers.facebook.com/docs/facebook-login/guides/access-tokens
twitter | AAAAAAAAAAAAAAAAAAAAA{a85} | TWITTER_BEARER_TOKEN bearer_token | https://docs.x.com/resources/fundamentals/authentication/oauth-2-0/application-only
readme | rdme_{l70} | README_API_KEY | https://docs.readme.com/main/reference/intro-authentication
cloudflare-ca | v1.0-{h24}-{h146} | CF_ORIGIN_CA_KEY | https://developers.cloudflare.com/fundamentals/api/get-started/ca-keys/
intercom | dG9rO{b54}= | INTERCOM_ACCESS_TOKEN | https://developers.intercom.com/docs/build-an-integration/learn-more/authentication
asana | 2/{d16}/{d16}:{h32} | ASANA_ACCESS_TOKEN asana_pat | https://developers.asana.com/docs/personal-access-token
lob | live_{h35} | LOB_API_KEY | https://docs.lob.com/#tag/Authentication
"""

SERVICES = parse(_TABLE)
