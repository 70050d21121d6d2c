-- Takes from buckets by the generic cell rate algorithm: a bucket is the moment at which it is full again, in microseconds.
-- KEYS: the tracked sources, the overflow's bucket of each class, then the bucket of each demand.
-- ARGV: how many sources may be tracked, then six of each demand: requests wanted, size of the bucket, microseconds for one,
-- the source, its class (1 or 2), and 1 if the configuration or the tenant's own limits name the source.
-- Gives four of each demand: granted, remaining, microseconds until full, microseconds until there is room for one.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local tracked, most = KEYS[1], tonumber(ARGV[1])
redis.call('ZREMRANGEBYSCORE', tracked, '-inf', string.format('%.0f', now))
local answer = {}
for demand = 0, #KEYS - 4 do
  local at = 1 + demand * 6
  local wanted, size, interval = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local source, class, named = ARGV[at + 4], tonumber(ARGV[at + 5]), ARGV[at + 6] == '1'
  local key, track, known = KEYS[4 + demand], false, false
  if not named then
    known = redis.call('ZSCORE', tracked, source)
    track = known or redis.call('ZCARD', tracked) < most
    if not track then key = KEYS[1 + class] end
  end
  local window = size * interval
  local full = math.max(tonumber(redis.call('GET', key) or 0), now)
  -- Who gets a shorter window does not wait for the end of the longer one: an empty bucket is full again after it.
  local shortened = full > now + window
  if shortened then full = now + window end
  local free = math.max(math.floor((now + window - full) / interval), 0)
  local granted = math.min(wanted, free)
  full = full + granted * interval
  if granted > 0 or shortened then
    local text, expiry = string.format('%.0f', full), math.ceil((full - now) / 1000)
    redis.call('SET', key, text, 'PX', expiry)
    if track and full > tonumber(known or 0) then
      redis.call('ZADD', tracked, text, source)
      redis.call('PEXPIRE', tracked, math.ceil(window / 1000))
    end
  end
  for _, number in ipairs({ granted, free - granted, full - now, math.max(full + interval - window - now, 0) }) do
    table.insert(answer, number)
  end
end
return answer
