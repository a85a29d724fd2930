#!lua
-- Forget outbox entries below an id.  KEYS outbox.  ARGV id.  No claim is asked: they are acknowledged by Kafka already.
redis.call('XTRIM', KEYS[1], 'MINID', '=', ARGV[1])
return redis.call('XLEN', KEYS[1])
