-- Load for tests/bench/gateway.py: bodies are made once, so that wrk has CPU left; `wrk … -- EVENTS_PER_POST [THINK_MS]`.
-- With a time to think, each connection waits that long on average before it posts again: a load below the peak.
local bodies, at = {}, 0

local TICK = '{"schema":1,"event_id":"%08x-bead-4aaa-8aaa-%012x","event_ts":%d,"event_type":"watch_tick",'
  .. '"client_session_id":"%08x-c11e-4aaa-8aaa-aaaaaaaaaaaa","tab_id":"tab-%d","video_id":"vid%08d",'
  .. '"video_session_id":"%08x-5e55-4aaa-8aaa-aaaaaaaaaaaa","watch_ms_delta":10000,"watch_mode":"foreground",'
  .. '"channel_name":"Channel No %d","channel_url":"https://www.youtube.com/@channel%d","is_visible":true,'
  .. '"url":"https://www.youtube.com/watch?v=vid%08d","player_state":"playing","tz_offset_min":-120,'
  .. '"seq":%d,"seq_epoch":"epoch-%08x"}'

function init(args)
  local per_post = tonumber(args[1])
  local think_ms = tonumber(args[2] or 0)
  if think_ms > 0 then
    delay = function() return math.random(0, 2 * think_ms) end
  end
  local now = os.time() * 1000
  local tokens = {} -- a token for each body, where the gateway asks for one
  if os.getenv("WATCHTIME_TOKENS") then
    for token in io.lines(os.getenv("WATCHTIME_TOKENS")) do
      tokens[#tokens + 1] = "Bearer " .. token
    end
  end
  for n = 1, 400 do
    local events = {}
    for i = 1, per_post do
      local video = (n * 7919 + i) % 5000
      events[i] = string.format(TICK, n, i, now, n, n % 3, video, n, video % 300, video % 300, video, i, n)
    end
    local body = per_post == 1 and events[1] or '{"events":[' .. table.concat(events, ",") .. "]}"
    bodies[n] = wrk.format("POST", "/ingest", { ["Content-Type"] = "application/json", ["Authorization"] = tokens[n] }, body)
  end
end

function request()
  at = at % #bodies + 1
  return bodies[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"posts":%d,"seconds":%f,"p50_ms":%f,"p99_ms":%f,"max_ms":%f,"bad_answers":%d,"socket_errors":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    latency.max / 1e3, errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
