# A whole answer and a streamed one, in OpenAI's dialect; a whole one in Anthropic's.
set -euo pipefail

# -- settings
curl http://127.0.0.1:8001/v1/chat/completions -H 'Content-Type: application/json' \
  -d '{"model": "demo", "messages": [{"role": "user", "content": "hi"}]}'
curl -N http://127.0.0.1:8001/v1/chat/completions -H 'Content-Type: application/json' \
  -d '{"model": "demo", "stream": true, "messages": [{"role": "user", "content": "hi"}]}'
curl http://127.0.0.1:8001/v1/messages -H 'Content-Type: application/json' \
  -d '{"model": "demo", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}'
# -- end
