-- The load that wrk sends, as `cargo xtask bench` asks for it:
--   wrk … --script wrk.lua URL -- METHOD [TOKEN [BODY [NAME VALUE]…]]
-- The request is the same every time, so wrk builds it once. The last line of
-- the output is the result as JSON, latencies in microseconds.

function init(args)
   wrk.method = args[1]
   if args[2] and args[2] ~= "" then
      wrk.headers["Authorization"] = "Bearer " .. args[2]
   end
   if args[3] then
      wrk.headers["Content-Type"] = "application/json"
      wrk.body = args[3]
   end
   for i = 4, #args, 2 do
      wrk.headers[args[i]] = args[i + 1]
   end
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '{"requests":%d,"duration":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d}\n',
      summary.requests, summary.duration,
      latency:percentile(50), latency:percentile(99),
      errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
