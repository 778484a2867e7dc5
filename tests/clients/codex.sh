# Codex, without a terminal: a question whose answer begins with a tool call.
set -euo pipefail

export CODEX_HOME=$HOME/.codex
mkdir -p "$CODEX_HOME"
cat >"$CODEX_HOME/config.toml" <<'SETTINGS'
# -- settings
model = "demo"
model_provider = "multiproxy"

[model_providers.multiproxy]
name = "MultiProxy"
base_url = "http://127.0.0.1:8001/v1"
wire_api = "responses"
# env_key = "MULTIPROXY_KEY"        # when config.yaml has keys
# -- end
SETTINGS

codex exec --skip-git-repo-check --json 'Please use exec_command once.' </dev/null
