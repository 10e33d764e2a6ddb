# From raw measurements to bench/results.json, and from there to tables. Used by run.sh.

def median: sort | if length == 0 then null elif length % 2 == 1 then .[length / 2 | floor]
  else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def spread: {median: median, min: min, max: max, n: length};
def digits($n): if . == null then null elif . == 0 then 0
  else ($n - 1 - ((if . < 0 then -. else . end) | log10 | floor)) as $d | pow(10; $d) as $f | (. * $f | round) / $f end;
def tidy: map_values(digits(4));
def left($n): tostring | . + " " * ([$n - length, 0] | max) // tostring;
def right($n): tostring | (" " * ([$n - length, 0] | max) // "") + .;

# ---- micro: the JSON of google-benchmark. Its context names host and path, so nothing of it is kept.

def bare_name: sub("/(manual_time|real_time|process_time)$"; "") | split("|");
def micro($about):
  [.benchmarks | sort_by(.family_index)[] | select(.run_type == "iteration") |
    if .error_occurred then error("\(.run_name): \(.error_message)") else . end |
    (.run_name | bare_name) as $n |
    # CPU time, which a busy neighbour disturbs least; wall time only where the disk is waited for.
    (if .items_per_second then 1e9 / .items_per_second
     elif .run_name | test("/(manual_time|real_time)$") then .real_time else .cpu_time end) as $ns |
    {task: $n[0], who: ($n[1] | ltrimstr("=")), yardstick: ($n[1] | startswith("=")), ns: $ns}] |
  if length == 0 then error("no micro benchmark has such a name") else . end |
  reduce .[] as $r ({order: [], rows: {}};
    ($r.task + "|" + $r.who) as $k |
    (if .rows[$k] then . else .order += [$k] | .rows[$k] = ($r | .ns = []) end) | .rows[$k].ns += [$r.ns]) |
  . as $all | [.order[] | $all.rows[.]] | map(.ns |= spread) | . as $rows |
  map(. as $r | if $r.yardstick then . else
    .ratio = ([$rows[] | select(.task == $r.task and .yardstick) | {key: .who, value: ($r.ns.median / .ns.median | digits(3))}] | from_entries) end
    | .ns |= tidy) |
  {about: $about, unit: "ns an operation", repetitions: (map(.ns.n) | max), rows: map(.ns |= del(.n))};

def ns_text: if . < 1e4 then digits(3) | tostring | . + " ns" elif . < 1e7 then . / 1e3 | digits(3) | tostring | . + " us"
  else . / 1e6 | digits(3) | tostring | . + " ms" end;
def micro_table:
  . as $m | ([.rows[].task] | reduce .[] as $t ([]; if index($t) then . else . + [$t] end))[] as $task |
  "", $task, ($m.rows[] | select(.task == $task) |
    "  " + ((if .yardstick then "= " else "  " end) + .who | left(44)) + (.ns.median | ns_text | right(10)) +
    "   [" + (.ns.min | ns_text) + " .. " + (.ns.max | ns_text) + "]" +
    (if .ratio then "   " + (.ratio | to_entries | map("\(.value) x \(.key)") | join(", ")) else "" end));

# ---- e2e: JSON lines of e2e.sh

def values($who; $what; $field): map(select(.who == $who and .what == $what) | .[$field]);
# Both contenders in the same round, then the median over the rounds.
def ratio($a; $b; $what; $field):
  . as $s | [$s[] | select(.who == $a and .what == $what) | . as $x |
    $s[] | select(.who == $b and .what == $what and .round == $x.round and .[$field] > 0) | $x[$field] / .[$field]] |
  if length == 0 then null else {median: (median | digits(3)), min: (min | digits(3)), max: (max | digits(3))} end;
def tcp_tests: ["tcp1_fwd", "tcp1_rev", "tcp4_fwd", "tcp4_rev"];
def e2e($about):
  map(select(.what)) as $s |
  ([$s[].who] | reduce .[] as $w ([]; if index($w) then . else . + [$w] end) ) as $order |
  {about: $about,
   versions: (map(select(.version) | {key: .version, value: .is}) | from_entries),
   missing: map(select(.missing) | .missing),
   rounds: ([$s[].round] | max),
   busy_before: ([$s[] | select(.what == "busy_before") | .share] | spread | tidy),
   rows: [["veth", "aqmesh-wg", "aqmeshd", "wireguard-go-debian", "wireguard-go-newest"][] | select(. as $w | $order | index($w)) |
     . as $w | {who: $w} +
     ([tcp_tests[] | {key: ., value: {
        gbit_s: (. as $t | $s | values($w; $t; "gbit_s") | spread | tidy),
        cpu_sender_s_gb: (. as $t | $s | values($w; $t; "cpu_sender_s_gb") | median | digits(3)),
        cpu_receiver_s_gb: (. as $t | $s | values($w; $t; "cpu_receiver_s_gb") | median | digits(3)),
        cpu_machine_s_gb: (. as $t | $s | values($w; $t; "cpu_machine_s_gb") | median | digits(3))}}] | from_entries) +
     {ping_us: {p50: ($s | values($w; "ping"; "p50_us") | spread | tidy), p99: ($s | values($w; "ping"; "p99_us") | median | digits(3))},
      rss_mib_an_end: (if $w == "veth" then null else ($s | values($w; "rss"; "mib") | max | digits(3)) end)}],
   ratios: ([["aqmesh-wg", "wireguard-go-newest"], ["aqmeshd", "wireguard-go-newest"], ["aqmesh-wg", "wireguard-go-debian"], ["aqmeshd", "aqmesh-wg"],
             ["aqmesh-wg", "veth"]] |
     map(. as [$a, $b] | {of: $a, to: $b} +
       ([tcp_tests[] | {key: ., value: (. as $t | $s | ratio($a; $b; $t; "gbit_s"))}] | from_entries) +
       {ping_p50: ($s | ratio($a; $b; "ping"; "p50_us")),
        cpu_both_tcp1: ($s | ratio($a; $b; "tcp1_fwd"; "cpu_both_s_gb")),
        cpu_both_tcp4: ($s | ratio($a; $b; "tcp4_fwd"; "cpu_both_s_gb"))}) |
     map(select(.tcp1_fwd != null)))};

def cell($n): if . == null then "-" else digits(3) end | right($n);
def e2e_table:
  "", "TCP in Gbit/s; CPU in seconds a GB (sender's program / receiver's program / whole machine), one stream; median of \(.rounds) rounds",
  "", (["", "1 fwd", "1 rev", "4 fwd", "4 rev"] | (.[0] | left(22)) + (.[1:] | map(right(8)) | join(""))) +
    ("CPU of one stream" | right(26)) + ("ping p50/p99 us" | right(19)) + ("RSS MiB" | right(9)),
  (.rows[] | (.who | left(22)) + (.tcp1_fwd.gbit_s.median | cell(8)) + (.tcp1_rev.gbit_s.median | cell(8)) +
    (.tcp4_fwd.gbit_s.median | cell(8)) + (.tcp4_rev.gbit_s.median | cell(8)) +
    ("\(.tcp1_fwd.cpu_sender_s_gb | digits(3)) / \(.tcp1_fwd.cpu_receiver_s_gb | digits(3)) / \(.tcp1_fwd.cpu_machine_s_gb | digits(3))" | right(26)) +
    ("\(.ping_us.p50.median | digits(3)) / \(.ping_us.p99)" | right(19)) + (.rss_mib_an_end | cell(9))),
  (.missing[] | "missing: \(.)"),
  "", "ratios, each of the same round: median [least .. most]",
  (.ratios[] | ("\(.of) / \(.to)" | left(38)) +
    "TCP 1 \(.tcp1_fwd.median) [\(.tcp1_fwd.min) .. \(.tcp1_fwd.max)]   TCP 4 \(.tcp4_fwd.median) [\(.tcp4_fwd.min) .. \(.tcp4_fwd.max)]" +
    "   ping \(.ping_p50.median)" + (if .cpu_both_tcp1 then "   CPU \(.cpu_both_tcp1.median) / \(.cpu_both_tcp4.median)" else "" end)),
  "", "other work took \(.busy_before.median * 100 | digits(2)) % of the machine before a turn (median; most \(.busy_before.max * 100 | digits(2)) %)";
