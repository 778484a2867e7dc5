# opencode, without a terminal: a question whose answer begins with a tool call.
set -euo pipefail

sed '/^# --/d' >opencode.json <<'SETTINGS'
# -- settings
{
  "$schema": "https://opencode.ai/config.json",
  "provider": {
    "multiproxy": {
      "npm": "@ai-sdk/openai-compatible",
      "name": "MultiProxy",
      "options": {"baseURL": "http://127.0.0.1:8001/v1", "apiKey": "unused"},
      "models": {"demo": {"name": "demo"}}
    }
  }
}
# -- end
SETTINGS

opencode run -m multiproxy/demo 'Please call the glob tool.' </dev/null
