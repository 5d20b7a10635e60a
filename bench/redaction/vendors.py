"""Credentials that show what they are by prefix or shape, of language models, clouds, code and packages.

Name, template (``values.py``), names under which programs keep them, and the vendor's public page about them.
Lengths are what the vendor says or what its published examples show; every value is made up at run time.
"""

from __future__ import annotations

from typing import NamedTuple


class Vendor(NamedTuple):
    """One shape of one vendor."""

    name: str
    template: str
    names: str
    source: str


_TABLE = """
openai-project | sk-proj-{w74}T3BlbkFJ{w74} | OPENAI_API_KEY openai_api_key apiKey | https://platform.openai.com/docs/api-reference/authentication
openai-legacy | sk-{a20}T3BlbkFJ{a20} | OPENAI_API_KEY openai.api_key api_key | https://platform.openai.com/docs/api-reference/authentication
openai-service | sk-svcacct-{w58}T3BlbkFJ{w58} | OPENAI_API_KEY OPENAI_KEY | https://platform.openai.com/docs/api-reference/project-service-accounts
openai-admin | sk-admin-{w58}T3BlbkFJ{w58} | OPENAI_ADMIN_KEY admin_key | https://platform.openai.com/docs/api-reference/administration
anthropic | sk-ant-api03-{w93}AA | ANTHROPIC_API_KEY x-api-key anthropic_api_key | https://docs.anthropic.com/en/api/getting-started
anthropic-admin | sk-ant-admin01-{w93}AA | ANTHROPIC_ADMIN_KEY adminApiKey | https://docs.anthropic.com/en/api/administration-api
anthropic-oauth | sk-ant-oat01-{w93}AA | CLAUDE_CODE_OAUTH_TOKEN oauth_token | https://docs.anthropic.com/en/docs/claude-code/iam
gemini | AIza{w35} | GEMINI_API_KEY GOOGLE_API_KEY key | https://ai.google.dev/gemini-api/docs/api-key
groq | gsk_{a52} | GROQ_API_KEY groq_api_key | https://console.groq.com/docs/quickstart
huggingface | hf_{a34} | HF_TOKEN HUGGINGFACEHUB_API_TOKEN hf_token | https://huggingface.co/docs/hub/security-tokens
replicate | r8_{a37} | REPLICATE_API_TOKEN replicate_token | https://replicate.com/docs/topics/security/api-tokens
perplexity | pplx-{a48} | PERPLEXITY_API_KEY PPLX_API_KEY | https://docs.perplexity.ai/guides/getting-started
xai | xai-{a80} | XAI_API_KEY xai_api_key | https://docs.x.ai/docs/tutorial
openrouter | sk-or-v1-{h64} | OPENROUTER_API_KEY openrouter_key | https://openrouter.ai/docs/api-reference/authentication
deepseek | sk-{h32} | DEEPSEEK_API_KEY deepseek_api_key | https://api-docs.deepseek.com/
moonshot | sk-{a48} | MOONSHOT_API_KEY KIMI_KEY | https://platform.moonshot.ai/docs
fireworks | fw_{a24} | FIREWORKS_API_KEY fireworks_api_key | https://docs.fireworks.ai/getting-started/quickstart
together | tgp_v1_{w43} | TOGETHER_API_KEY together_api_key | https://docs.together.ai/docs/quickstart
nvidia | nvapi-{w64} | NVIDIA_API_KEY NGC_API_KEY | https://docs.api.nvidia.com/nim/docs/api-quickstart
cerebras | csk-{l48} | CEREBRAS_API_KEY | https://inference-docs.cerebras.ai/quickstart
langsmith | lsv2_pt_{h32}_{h10} | LANGSMITH_API_KEY LANGCHAIN_API_KEY | https://docs.smith.langchain.com/administration/how_to_guides/organization_management/create_account_api_key
langfuse | sk-lf-{g} | LANGFUSE_SECRET_KEY secretKey | https://langfuse.com/docs/sdk/python/sdk-v3
pinecone | pcsk_{a5}_{a63} | PINECONE_API_KEY pinecone_api_key | https://docs.pinecone.io/guides/projects/manage-api-keys
tavily | tvly-dev-{a32} | TAVILY_API_KEY tavily_api_key | https://docs.tavily.com/documentation/quickstart
firecrawl | fc-{h32} | FIRECRAWL_API_KEY | https://docs.firecrawl.dev/introduction
jina | jina_{h32}{w28} | JINA_API_KEY | https://jina.ai/reader/
voyage | pa-{w43} | VOYAGE_API_KEY | https://docs.voyageai.com/docs/api-key-and-installation
elevenlabs | sk_{h48} | ELEVENLABS_API_KEY xi-api-key | https://elevenlabs.io/docs/api-reference/authentication
helicone | sk-helicone-{l7}-{l7}-{l7}-{l7} | HELICONE_API_KEY Helicone-Auth | https://docs.helicone.ai/getting-started/quick-start
e2b | e2b_{h40} | E2B_API_KEY | https://e2b.dev/docs/api-key
modal | as-{a22} | MODAL_TOKEN_SECRET token_secret | https://modal.com/docs/reference/modal.config
llamacloud | llx-{a48} | LLAMA_CLOUD_API_KEY | https://docs.cloud.llamaindex.ai/api_key
mem0 | m0-{a40} | MEM0_API_KEY | https://docs.mem0.ai/platform/quickstart
vercel-gateway | vck_{a56} | AI_GATEWAY_API_KEY | https://vercel.com/docs/ai-gateway/authentication
brave-search | BSA{w28} | BRAVE_API_KEY X-Subscription-Token | https://api-dashboard.search.brave.com/app/documentation
databricks | dapi{h32} | DATABRICKS_TOKEN databricks_token | https://docs.databricks.com/en/dev-tools/auth/pat.html
bedrock | ABSK{b108}= | AWS_BEARER_TOKEN_BEDROCK | https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html
logfire | pylf_v1_us_{a43} | LOGFIRE_TOKEN logfire_token | https://logfire.pydantic.dev/docs/how-to-guides/create-write-tokens/
aws-key-id | AKIA{s16} | AWS_ACCESS_KEY_ID aws_access_key_id accessKeyId | https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
aws-session-id | ASIA{s16} | AWS_ACCESS_KEY_ID AccessKeyId | https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
gcp-oauth | ya29.{w120-180} | access_token GCLOUD_ACCESS_TOKEN | https://developers.google.com/identity/protocols/oauth2
gcp-client | GOCSPX-{w28} | client_secret GOOGLE_CLIENT_SECRET | https://developers.google.com/identity/protocols/oauth2/web-server
azure-client | {a3}8Q~{w34} | AZURE_CLIENT_SECRET clientSecret | https://learn.microsoft.com/en-us/entra/identity-platform/howto-create-service-principal-portal
digitalocean | dop_v1_{h64} | DIGITALOCEAN_TOKEN do_token | https://docs.digitalocean.com/reference/api/create-personal-access-token/
heroku | HRKU-AA{w58} | HEROKU_API_KEY heroku_api_key | https://devcenter.heroku.com/articles/authentication
flyio | fo1_{w43} | FLY_API_TOKEN fly_token | https://fly.io/docs/security/tokens/
netlify | nfp_{a36} | NETLIFY_AUTH_TOKEN | https://docs.netlify.com/api/get-started/
render | rnd_{a28} | RENDER_API_KEY | https://render.com/docs/api
supabase-pat | sbp_{h40} | SUPABASE_ACCESS_TOKEN | https://supabase.com/docs/reference/api/introduction
supabase-secret | sb_secret_{w31} | SUPABASE_SECRET_KEY supabaseKey | https://supabase.com/docs/guides/api/api-keys
pulumi | pul-{h40} | PULUMI_ACCESS_TOKEN | https://www.pulumi.com/docs/pulumi-cloud/access-management/access-tokens/
terraform-cloud | {a14}.atlasv1.{w67} | TFE_TOKEN TF_TOKEN_app_terraform_io token | https://developer.hashicorp.com/terraform/cloud-docs/users-teams-organizations/api-tokens
vault | hvs.{w90-100} | VAULT_TOKEN X-Vault-Token | https://developer.hashicorp.com/vault/docs/concepts/tokens
doppler | dp.pt.{a43} | DOPPLER_TOKEN | https://docs.doppler.com/reference/api
onepassword | ops_eyJ{w250} | OP_SERVICE_ACCOUNT_TOKEN | https://developer.1password.com/docs/service-accounts/get-started/
alibaba | LTAI{a20} | ALIBABA_CLOUD_ACCESS_KEY_ID AccessKeyId | https://www.alibabacloud.com/help/en/ram/user-guide/create-an-accesskey-pair
tencent | AKID{a32} | TENCENTCLOUD_SECRET_ID SecretId | https://www.tencentcloud.com/document/product/598/34228
yandex | AQVN{w36} | YC_API_KEY yandex_api_key | https://yandex.cloud/en/docs/iam/concepts/authorization/api-key
github-classic | ghp_{a36} | GITHUB_TOKEN GH_TOKEN githubToken | https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
github-fine | github_pat_{a22}_{a59} | GITHUB_TOKEN github_token pat | https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/managing-your-personal-access-tokens
github-app | ghs_{a36} | GITHUB_TOKEN installation_token | https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
github-oauth | gho_{a36} | access_token oauth_token | https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
gitlab | glpat-{w20} | GITLAB_TOKEN PRIVATE-TOKEN gitlab_token | https://docs.gitlab.com/security/tokens/
gitlab-trigger | glptt-{h40} | TRIGGER_TOKEN trigger_token | https://docs.gitlab.com/security/tokens/
gitlab-deploy | gldt-{w20} | DEPLOY_TOKEN deploy_token | https://docs.gitlab.com/security/tokens/
gitlab-runner | glrt-{w20} | RUNNER_TOKEN runner_token | https://docs.gitlab.com/security/tokens/
bitbucket | ATBB{a32} | BITBUCKET_APP_PASSWORD app_password | https://support.atlassian.com/bitbucket-cloud/docs/app-passwords/
atlassian | ATATT3xFfGF0{w172}={H8} | JIRA_API_TOKEN CONFLUENCE_TOKEN api_token | https://support.atlassian.com/atlassian-account/docs/manage-api-tokens-for-your-atlassian-account/
azure-devops | {a76}AZDO{a4} | AZURE_DEVOPS_EXT_PAT SYSTEM_ACCESSTOKEN | https://learn.microsoft.com/en-us/azure/devops/organizations/accounts/use-personal-access-tokens-to-authenticate
npm | npm_{a36} | NPM_TOKEN NODE_AUTH_TOKEN | https://docs.npmjs.com/about-access-tokens
pypi | pypi-AgEIcHlwaS5vcmc{w150} | PYPI_TOKEN TWINE_PASSWORD | https://pypi.org/help/#apitoken
rubygems | rubygems_{h48} | GEM_HOST_API_KEY rubygems_api_key | https://guides.rubygems.org/api-key-scopes/
crates | cio{a32} | CARGO_REGISTRY_TOKEN | https://doc.rust-lang.org/cargo/reference/publishing.html
nuget | oy2{l43} | NUGET_API_KEY nugetApiKey | https://learn.microsoft.com/en-us/nuget/nuget-org/scoped-api-keys
dockerhub | dckr_pat_{w27} | DOCKERHUB_TOKEN DOCKER_PASSWORD | https://docs.docker.com/security/access-tokens/
jfrog | AKCp{a69} | ARTIFACTORY_API_KEY JFROG_API_KEY | https://jfrog.com/help/r/jfrog-platform-administration-documentation/access-tokens
sonar | squ_{h40} | SONAR_TOKEN sonar.token | https://docs.sonarsource.com/sonarqube-server/latest/user-guide/managing-tokens/
"""


def parse(table: str) -> tuple[Vendor, ...]:
    """The rows of a table as above."""
    lines = (line for line in table.strip().splitlines() if line)
    return tuple(Vendor(*(cell.strip() for cell in line.split(" | "))) for line in lines)


VENDORS = parse(_TABLE)
