-- A load for sysbench that writes down what every transaction took: oltp_write_only as sysbench has it, or statements from
-- a file. With --per-thread-rate the transactions are due on a fixed schedule which does not wait for the server, so that
-- one stall shows in all that queued behind it.
--
-- Each thread appends records of three doubles to RECORDS.<thread>: when the transaction was due (CLOCK_MONOTONIC), how long
-- it took from then on until it went through, and how much of that was spent in the queue. Whenever it fails, it is tried
-- again, and a line is appended to RECORDS.<thread>.failures: the moment, the error's number, its message.

local ffi = require("ffi")

local own_options = {
   records = {"Where to write: a path, to which the thread's number is added", ""},
   stop_file = {"All threads end once this file exists", ""},
   per_thread_rate = {"Transactions a second of each thread; 0 is as many as it can", "0"},
   statements = {"A file with the statements of a transaction, one a line; without it, oltp_write_only's", ""},
   distribution = {"Which rows: default (sysbench's own), or hot (90% on 0.1% of the keys)", "default"},
}

-- A sysbench that was unpacked somewhere does not find its own scripts.
if os.getenv("SYSBENCH_SHARE") then
   package.path = package.path .. ";" .. os.getenv("SYSBENCH_SHARE") .. "/?.lua"
end
require("oltp_write_only")
for name, option in pairs(own_options) do
   sysbench.cmdline.options[name] = option
end

ffi.cdef[[
typedef struct { long s; long ns; } bench_time;
int bench_clock(int clock, bench_time *time) __asm__("clock_gettime");
int bench_sleep(int clock, int flags, const bench_time *time, bench_time *rest) __asm__("clock_nanosleep");
int bench_access(const char *path, int mode) __asm__("access");
int bench_parent(void) __asm__("getppid");
]]

local MONOTONIC, ABSOLUTE = 1, 1
local LOOK_EVERY_S, FLUSH_EVERY_S = 0.02, 1.0
local TEXT = "###########-###########-###########-###########-###########"

-- Lock wait timeout, deadlock, and MariaDB's "record has changed".
local DAILY_BREAD = {[1205] = true, [1213] = true, [1020] = true}
local LOST_CONNECTION_FROM, LOST_CONNECTION_TO = 2000, 2999
local PAUSE_AFTER_ERROR_S = 0.005

local clock = ffi.new("bench_time")

local function now()
   ffi.C.bench_clock(MONOTONIC, clock)
   return tonumber(clock.s) + tonumber(clock.ns) / 1e9
end

local function sleep_until(moment)
   clock.s = math.floor(moment)
   clock.ns = math.floor((moment - math.floor(moment)) * 1e9)
   ffi.C.bench_sleep(MONOTONIC, ABSOLUTE, clock, nil)
end

-- Of this thread: each has a Lua state of its own.
local record = ffi.new("double[3]")
local records, failures, templates, serial, due, interval, parent
local looked_at, flushed_at = 0, 0

local sysbench_thread_init, sysbench_thread_done, oltp_write_only = thread_init, thread_done, event

function thread_init(thread_id)
   local rate = tonumber(sysbench.opt.per_thread_rate)
   records = assert(io.open(sysbench.opt.records .. "." .. sysbench.tid, "wb"))
   records:setvbuf("full", 65536)
   failures = assert(io.open(sysbench.opt.records .. "." .. sysbench.tid .. ".failures", "w"))
   parent = ffi.C.bench_parent()
   serial = sysbench.opt.table_size + sysbench.tid + 1
   if sysbench.opt.statements ~= "" then
      templates = {}
      for line in io.lines(sysbench.opt.statements) do
         templates[#templates + 1] = line
      end
      con = sysbench.sql.driver():connect()
   else
      sysbench_thread_init(thread_id)
   end
   if rate > 0 then
      interval = 1 / rate
      -- The threads' turns are spread over the interval.
      due = now() + interval * (1 + sysbench.tid / sysbench.opt.threads)
   end
end

function thread_done(thread_id)
   records:close()
   failures:close()
   if templates then
      con:disconnect()
   else
      sysbench_thread_done(thread_id)
   end
end

local function any_row()
   local rows = sysbench.opt.table_size
   if sysbench.opt.distribution == "hot" and sysbench.rand.uniform(1, 10) <= 9 then
      return 1000 * sysbench.rand.uniform(1, math.max(1, math.floor(rows / 1000)))
   end
   return sysbench.rand.default(1, rows)
end

local function from_templates()
   local values = {a = any_row(), b = any_row(), c = any_row(), new = serial, text = sysbench.rand.string(TEXT)}
   con:query("BEGIN")
   for _, template in ipairs(templates) do
      con:query((template:gsub("{(%l+)}", values)))
   end
   con:query("COMMIT")
   serial = serial + sysbench.opt.threads
end

local function is_over(moment)
   if moment - looked_at < LOOK_EVERY_S then
      return false
   end
   looked_at = moment
   return ffi.C.bench_access(sysbench.opt.stop_file, 0) == 0 or ffi.C.bench_parent() ~= parent
end

local function wait_for_turn()
   if not due then
      return now()
   end
   local turn = due
   due = due + interval
   while turn > now() do
      -- A slow schedule looks for the stop file between two turns.
      sleep_until(math.min(turn, now() + LOOK_EVERY_S))
      if is_over(now()) then
         return nil
      end
   end
   return turn
end

local function attempt(thread_id)
   if templates then
      from_templates()
   else
      oltp_write_only(thread_id)
   end
end

-- After a transaction that failed: what an application would do before it tries again.
local function recover(problem)
   local number = type(problem) == "table" and tonumber(problem.sql_errno)
   if not number or (number >= LOST_CONNECTION_FROM and number <= LOST_CONNECTION_TO) then
      error(type(problem) == "table" and problem.sql_errmsg or problem, 0)
   end
   failures:write(string.format("%.6f %d %s\n", now(), number, (problem.sql_errmsg:gsub("\n", " "))))
   con:query("ROLLBACK")
   if not DAILY_BREAD[number] then
      sleep_until(now() + PAUSE_AFTER_ERROR_S)
   end
end

function event(thread_id)
   local turn = wait_for_turn()
   local began = now()
   if turn == nil or is_over(began) then
      return true
   end
   local over = false
   while not over do
      local done, problem = pcall(attempt, thread_id)
      if done then
         break
      end
      recover(problem)
      over = is_over(now())
   end
   local ended = now()
   record[0], record[1], record[2] = turn, ended - turn, began - turn
   records:write(ffi.string(record, 24))
   if ended - flushed_at > FLUSH_EVERY_S then
      flushed_at = ended
      records:flush()
   end
   return over
end
