# aider, without a terminal: one message about a file. aider uses no tools.
set -euo pipefail

# -- settings
export OPENAI_API_BASE=http://127.0.0.1:8001/v1
export OPENAI_API_KEY=unused                      # or the key from config.yaml
export AIDER_MODEL=openai/demo
# -- end

echo hello >notes.txt
aider --yes-always --no-show-model-warnings --no-check-update --no-analytics --no-git \
  --message 'What do the notes say?' notes.txt </dev/null
