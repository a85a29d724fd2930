-- no arguments
local oldest = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
return {redis.call('ZCARD', EXPIRY), redis.call('ZCARD', LEASE), redis.call('XLEN', REPORTS), oldest[2] or ''}
