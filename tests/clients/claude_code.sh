# Claude Code, without a terminal: a question whose answer begins with a tool call.
set -euo pipefail

# -- settings
export ANTHROPIC_BASE_URL=http://127.0.0.1:8001
export ANTHROPIC_AUTH_TOKEN=unused                # or the key from config.yaml
export ANTHROPIC_MODEL=demo
export ANTHROPIC_DEFAULT_HAIKU_MODEL=demo         # for titles and other small jobs
export CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1
# -- end

claude -p 'Please call Glob once.' --allowedTools Glob --output-format json </dev/null
