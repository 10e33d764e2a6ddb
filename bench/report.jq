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

# ---- e2e: JSON lines of e2e.sh. A measurement is {who, pinned, round, what, FIELD: number, ...}.

def peers: ["wireguard-go-newest", "wireguard-go-debian", "boringtun", "gotatun", "nebula"];
def order: ["veth", "null", "aqmesh-wg", "aqmesh-wg-1380", "aqmeshd"] + peers;
def newest: ["wireguard-go-newest"];
def both_ways($n): ["tcp\($n)_fwd", "tcp\($n)_rev"];

# What is compared: a figure is the sum of FIELD over WHAT (one round, one contender; both ends where two are noted),
# `more` says which way is good, `to` lists those of whom the best counts. Without `to` the figure itself is held to
# the base. A base without `of` is for both of our programs.
def ours: ["aqmesh-wg", "aqmeshd"];
def bases:
  [{name: "TCP 1 stream", what: both_ways(1), field: "gbit_s", more: true, to: newest, base: 2.5},
   {name: "TCP 4 streams", what: both_ways(4), field: "gbit_s", more: true, to: newest, base: 3.2},
   {name: "CPU a GB, 1 stream", what: both_ways(1), field: "cpu_machine_s_gb", more: false, to: newest, base: 0.40},
   {name: "CPU a GB, 4 streams", what: both_ways(4), field: "cpu_machine_s_gb", more: false, to: newest, base: 0.32},
   {name: "UDP 64 B, flood", what: ["udp_flood"], field: "carried_kpps", more: true, to: newest, base: 4.5},
   {name: "UDP 64 B, flood", what: ["udp_flood"], field: "carried_kpps", more: true, to: peers, base: 2.6},
   {name: "UDP 64 B, under 1 % lost", what: ["udp_lossless"], field: "carried_kpps", more: true, to: newest, base: 2.5},
   {name: "ping p50, idle", what: ["ping_idle"], field: "p50_us", more: false, to: peers, base: 1.0},
   {name: "ping p99, 4 TCP streams", what: ["ping_loaded"], field: "p99_us", more: false, to: peers, base: 1.0},
   {name: "one core: TCP 1 stream", pinned: true, what: ["tcp1_fwd"], field: "gbit_s", more: true, to: newest, base: 2.5},
   {name: "one core: UDP 64 B, flood", pinned: true, what: ["udp_flood"], field: "carried_kpps", more: true, to: newest, base: 2},
   {name: "RSS an end, MiB", of: "aqmeshd", what: ["rss"], field: "mib", more: false, base: 48},
   {name: "RSS an end, MiB", of: "aqmesh-wg", what: ["rss"], field: "mib", more: false, base: 14},
   {name: "RSS an idle peer, KiB", of: "aqmesh-wg", what: ["idle_peer"], field: "kib", more: false, base: 16},
   {name: "TCP 1 stream", of: "aqmesh-wg", what: both_ways(1), field: "gbit_s", more: true, to: ["null"], base: 0.58},
   {name: "governed / plain, TCP", of: "aqmeshd", what: (both_ways(1) + both_ways(4)), field: "gbit_s", more: true,
    to: ["aqmesh-wg-1380"], base: 0.97},
   {name: "handshakes a second", of: "aqmesh-wg", what: ["handshakes"], field: "per_second", more: true, to: newest, base: 1.5}] |
  map(.pinned //= false | if .of then . else (ours[] as $o | . + {of: $o}) end);
# The same for the micro benchmarks, whose repetitions are their rounds. There less is good: the yardstick stands above.
def micro_bases:
  [{name: "AEAD x32 of 1420 B", of: "aqmesh", what: ["aead seal x32 1420 B", "aead open x32 1420 B"], to: ["OpenSSL EVP"], base: 1.9},
   {name: "AEAD x32 of 64 B", of: "aqmesh", what: ["aead seal x32 64 B", "aead open x32 64 B"], to: ["OpenSSL EVP"], base: 2.3},
   {name: "handshakes, governed (warm) / plain", of: "governed rekey, root>enroller>node", what: ["handshake, both ends"],
    to: ["plain WireGuard"], base: 0.62}] | map(. + {field: "ns", more: false, inverse: true, pinned: false});
def micro_filter: "^(aead (seal|open) x32 .*\\|=?(aqmesh|OpenSSL EVP)|handshake, both ends\\|(plain WireGuard|governed rekey, root>enroller>node))$";
def micro_measurements:
  [.benchmarks[] | select(.run_type == "iteration") | (.run_name | bare_name) as $n |
    {who: ($n[1] | ltrimstr("=")), pinned: false, what: $n[0], round: (.repetition_index + 1),
     ns: (if .items_per_second then 1e9 / .items_per_second else .cpu_time end)}];

# null where the round lacks one of them. Two ends of one measurement count as the larger.
def figure($who; $round; $b):
  . as $s | [$b.what[] as $w | [$s[] | select(.who == $who and .round == $round and .what == $w and .pinned == $b.pinned) | .[$b.field]] | max] |
  if any(. == null) then null else add end;
def best_of($more): map(select(. != null and . > 0)) | if $more then max else min end;
# Of each round its ratio, or its figure where there is nobody to compare with.
def by_round($b):
  . as $s | [$s[].round] | unique | map(. as $r | ($s | figure($b.of; $r; $b)) as $mine |
    if $mine == null then empty elif $b.to == null then $mine
    else ([$b.to[] as $t | $s | figure($t; $r; $b)] | best_of($b.more)) as $theirs |
      if $theirs == null then empty elif $b.inverse then $theirs / $mine else $mine / $theirs end end);
def higher: .more or .inverse == true;
# A base holds if the best of the first three rounds reaches it, and nobody who had to be beaten was left out.
def judge($all):
  . as $s | [$all[] | . as $b | ($s | by_round($b)) as $rounds |
    ([$b.to // [] | .[] | select(. as $t | [$s[].round | values] | unique | all(. as $r | ($s | figure($t; $r; $b)) == null))]) as $absent |
    ($rounds[:3] | best_of($b | higher)) as $best |
    {name: $b.name, of: $b.of, to: (if $b.to == peers then "the best peer" else ($b.to // [null])[0] end), base: $b.base,
     sense: (if $b | higher then ">=" else "<=" end), rounds: ($rounds | map(digits(3))), median: ($rounds | median | digits(3)), best: ($best | digits(3)),
     absent: $absent,
     holds: ($best != null and $absent == [] and (if $b | higher then $best >= $b.base else $best <= $b.base end))}];

# ---- what is kept in results.json

def spreads: (map(keys[]) | unique - ["who", "pinned", "round", "what", "at"]) as $fields | . as $all |
  [$fields[] | {key: ., value: (. as $f | $all | map(.[$f] // empty) | spread | del(.n) | tidy)}] | from_entries;
def e2e($about):
  map(select(.what)) as $s |
  {about: $about,
   versions: (map(select(.version) | {key: .version, value: .is}) | from_entries),
   missing: map(select(.missing) | .missing),
   rounds: ([$s[] | select(.ns | not) | .round] | max),
   busy_before: ([$s[] | select(.what == "busy_before") | .share] | spread | tidy),
   rows: [false, true | . as $pinned | order[] | . as $w | [$s[] | select(.who == $w and .pinned == $pinned and .what != "busy_before")] |
     select(length > 0) | {who: $w, one_core: $pinned} + (group_by(.what) | map({key: .[0].what, value: spreads}) | from_entries)],
   bases: ($s | judge(bases + micro_bases))};

# ---- lineage: JSON lines of aqmesh-lineage-load, as those of e2e.sh.

def lineage_bases:
  [{name: "asynchronous, records/s a core", what: ["stream"], field: "records_s_core", more: true, base: 300000},
   {name: "ingest / bare RocksDB", what: ["ingest"], field: "records_s", more: true, to: ["bare RocksDB"], base: 0.6},
   {name: "durable p99 over an fsync's, ms", what: ["durable"], field: "over_ms", more: false, base: 5},
   {name: "one subject of a long log, p99 ms", what: ["query"], field: "p99_ms", more: false, base: 20},
   {name: "full verify, records/s a core", what: ["verify"], field: "records_s_core", more: true, base: 200000},
   {name: "store / encoded bytes", what: ["size"], field: "ratio", more: false, base: 1.6},
   {name: "state at any instant of it, p99 ms", what: ["state"], field: "p99_ms", more: false, base: 1000},
   {name: "opening the long log, s", what: ["open"], field: "s", more: false, base: 5}] | map(. + {of: "store", pinned: false});
def lineage($about):
  map(. + {pinned: false}) as $s |
  {about: $about, rounds: ([$s[].round] | max), records: ([$s[] | select(.what == "verify") | .records] | max),
   rows: ($s | group_by(.what + "|" + .who) | map({what: .[0].what, who: .[0].who} + (map(del(.pinned)) | spreads))),
   bases: ($s | judge(lineage_bases))};
def lineage_table:
  "", "medians of \(.rounds) rounds, [least .. most]; the long log has \(.records) records",
  (.rows[] | "", "\(.what): \(.who)", (del(.what, .who) | to_entries[] |
    "  " + (.key | left(20)) + (.value.median | tostring | right(12)) + "   [\(.value.min) .. \(.value.max)]"));

# ---- tables

def cell($n): if . == null then "-" else digits(3) end | right($n);
# 5.36 +-4: the median, and half of what lies between least and most in percent of it.
def swing($n): (if . == null then "-" elif .median == 0 then "0"
  else "\(.median | digits(3)) \("+-\((.max - .min) / 2 / .median * 100 | round)%" | right(6))" end) | right($n);
def pair($a; $b; $n): (if .[$a] == null then "-" else "\(.[$a].median | digits(3)) / \(.[$b].median | digits(3))" end) | right($n);
def columns($names; $width): ("" | left(20)) + ($names | map(right($width)) | join(""));
def e2e_table:
  (select(any(.rows[]; .one_core | not)) |
    "", "TCP in Gbit/s; CPU of the whole machine in seconds a GB; median of \(.rounds) rounds, +- half of least to most",
    columns(["1 fwd", "1 rev", "4 fwd", "4 rev", "CPU 1", "CPU 4", "RSS MiB"]; 15),
    (.rows[] | select(.one_core | not) | (.who | left(20)) + (.tcp1_fwd.gbit_s | swing(15)) + (.tcp1_rev.gbit_s | swing(15)) +
      (.tcp4_fwd.gbit_s | swing(15)) + (.tcp4_rev.gbit_s | swing(15)) + (.tcp1_fwd.cpu_machine_s_gb | swing(15)) +
      (.tcp4_fwd.cpu_machine_s_gb | swing(15)) + (.rss.mib.max | cell(15))),
    "", "UDP packets of 64 B in thousands a second; ping in us; handshakes as responder",
    columns(["offered", "carried", "under 1 % lost", "ping p50/p99", "loaded p50/p99", "handshakes/s", "KiB/idle peer"]; 16),
    (.rows[] | select(.udp_lossless) | (.who | left(20)) + (.udp_flood.offered_kpps | swing(16)) + (.udp_flood.carried_kpps | swing(16)) +
      (.udp_lossless.carried_kpps | swing(16)) + ((.ping_idle // {}) | pair("p50_us"; "p99_us"; 16)) +
      ((.ping_loaded // {}) | pair("p50_us"; "p99_us"; 16)) + (.handshakes.per_second | swing(16)) + (.idle_peer.kib.median | cell(16)))),
  (select(any(.rows[]; .one_core)) |
    "", "all of a contender and its load on one core",
    columns(["TCP 1 fwd", "UDP offered", "UDP carried"]; 16),
    (.rows[] | select(.one_core) | (.who | left(20)) + (.tcp1_fwd.gbit_s | swing(16)) + (.udp_flood.offered_kpps | swing(16)) +
      (.udp_flood.carried_kpps | swing(16)))),
  "", (.missing[] | "missing: \(.)"),
  "other work took \(.busy_before.median * 100 | digits(2)) % of the machine before a turn (median; most \(.busy_before.max * 100 | digits(2)) %)",
  "", "ratios, each of the same round: median [least .. most]",
  (.bases[] | select(.median) | (.name | left(38)) + ("\(.of)\(if .to then " / \(.to)" else "" end)" | left(60)) +
    (.median | cell(8)) + "   [\(.rounds | min) .. \(.rounds | max)]" + (if .absent != [] then "   without \(.absent | join(", "))" else "" end));
def check_table:
  "", "bases, by the best of three rounds",
  (.bases[] | (if .holds then "  holds   " else "  MISSES  " end) + (.name | left(38)) + ("\(.of)\(if .to then " / \(.to)" else "" end)" | left(60)) +
    (if .best == null and .absent == [] then "\(.of) was not measured"
     elif .absent != [] then "not measured against \(.absent | join(", "))"
     else "\(.best) \(.sense) \(.base)" end)),
  "", "\(.bases | map(select(.holds)) | length) of \(.bases | length) bases hold";
