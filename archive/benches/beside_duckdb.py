"""Times the questions of r3e-archive beside DuckDB on the same files.

    python benches/beside_duckdb.py ARCHIVE [PROGRAM]

ARCHIVE is a folder made by r3e-archive-generate. Each question runs three times in each engine, in turn; the best
counts. r3e-archive is a process for each question, so its time includes its start, and it writes CSV; DuckDB is asked in this process,
which has opened the files before, within the same memory limit and with as many threads as there are cores, and returns rows of Python.
"""

import os
import resource
import subprocess
import sys
import time

import duckdb

ARCHIVE = sys.argv[1]
PROGRAM = sys.argv[2] if len(sys.argv) > 2 else "target/release/r3e-archive"
LIMIT_MB = 1024
BOARD = "track_id = {t} AND class_id = {c}"
KEY = "CAST(track_id AS BIGINT) * 4294967296 + class_id"


def ours(*arguments):
    """Seconds, peak memory in MB and output of a run of r3e-archive."""
    environment = {**os.environ, "R3E_MEMORY__LIMIT_MB": str(LIMIT_MB), "R3E_RUNTIME__DIR": "/tmp/r3e-bench"}
    begun = time.monotonic()
    with open("/tmp/r3e-bench.out", "w+") as out:
        child = subprocess.Popen([PROGRAM, "--quiet", "--archive", ARCHIVE, *arguments], stdout=out, env=environment)
        peak = 0
        while child.poll() is None:
            # The usage that `wait` returns would include this process before it became the child.
            with open(f"/proc/{child.pid}/status") as status:
                peaks = [int(line.split()[1]) for line in status if line.startswith("VmHWM")]
            peak = max(peaks + [peak])
            time.sleep(0.005)
        took = time.monotonic() - begun
        assert child.returncode == 0, (arguments, child.returncode)
        out.seek(0)
        return took, peak / 1024, out.read()


files = ours("stats", "--files")[2].split()
duck = duckdb.connect()
duck.execute(f"SET memory_limit = '{LIMIT_MB}MB'")
duck.execute(f"CREATE VIEW archive_rows AS SELECT * FROM read_parquet({files!r}, hive_partitioning = false)")
duck.execute("CREATE VIEW entries AS SELECT * FROM archive_rows WHERE position > 0")
duck.execute(
    f"""CREATE VIEW board_versions AS SELECT *, observed_at AS valid_from,
    lead(observed_at) OVER (PARTITION BY {KEY} ORDER BY observed_at) AS valid_to FROM archive_rows WHERE position = 0"""
)
duck.execute(
    """CREATE VIEW latest AS SELECT e.* FROM entries e JOIN (SELECT track_id, class_id, max(observed_at) AS observed_at FROM archive_rows
    WHERE position = 0 GROUP BY track_id, class_id) v USING (track_id, class_id, observed_at)"""
)
duck.execute(
    f"""CREATE VIEW records AS SELECT *, previous_ms::BIGINT - laptime_ms AS gain_ms FROM (SELECT *, min(laptime_ms) OVER
    (PARTITION BY {KEY} ORDER BY observed_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS previous_ms
    FROM archive_rows WHERE position = 0) WHERE laptime_ms IS NOT NULL AND (previous_ms IS NULL OR laptime_ms < previous_ms)"""
)

(track, class_), last = duck.execute(
    "SELECT (track_id, class_id), (SELECT max(observed_at) FROM archive_rows WHERE position = 0) FROM archive_rows WHERE position = 0 "
    "GROUP BY 1 ORDER BY max(size) DESC LIMIT 1"
).fetchone()
TWENTIETH = f"FROM entries WHERE track_id = {track} AND class_id = {class_} AND position = 20"
middle, driver_id, name = duck.execute(
    f"SELECT observed_at, driver_id, name {TWENTIETH} ORDER BY observed_at LIMIT 1 OFFSET (SELECT count(*) // 2 {TWENTIETH})"
).fetchone()
board, day, where = f"{track}-{class_}", str(middle)[:10], BOARD.format(t=track, c=class_)
week = duck.execute("SELECT max(observed_at) - INTERVAL 7 DAY FROM archive_rows WHERE position = 0").fetchone()[0]


def lag(condition, key=KEY):
    return f"""SELECT * FROM (SELECT track_id, class_id, observed_at, driver_id, name, position, size, laptime, laptime_ms, gap_ms, car,
    lap_date, lag(laptime_ms) OVER (PARTITION BY {key} ORDER BY observed_at, position) AS previous_ms FROM entries
    WHERE {condition}) WHERE previous_ms IS NULL OR laptime_ms <> previous_ms ORDER BY track_id, class_id, driver_id, observed_at"""


AS_OF = f"""SELECT position, name, car, laptime FROM entries WHERE {where} AND observed_at = (SELECT max(observed_at) FROM archive_rows
    WHERE {where} AND position = 0 AND observed_at <= TIMESTAMP '{day} 23:59:59') ORDER BY position"""
STATEMENTS = {
    "a as-of": AS_OF,
    "b driver": f"SELECT observed_at, track_id, class_id, position, laptime FROM entries WHERE driver_id = {driver_id} ORDER BY 2, 3, 1",
    "c records": f"SELECT observed_at, name, laptime, lap_date FROM records WHERE {where} ORDER BY observed_at",
    "d top 100": "SELECT driver_id, min(name), count(*) AS wins FROM latest WHERE position = 1 AND driver_id IS NOT NULL "
    "GROUP BY driver_id ORDER BY wins DESC, driver_id LIMIT 100",
    "e drivers a month": "SELECT date_trunc('month', observed_at), count(DISTINCT driver_id) FROM entries GROUP BY 1 ORDER BY 1",
}
QUESTIONS = {
    "board --at": (["board", board, "--at", day, "--csv"], AS_OF),
    "driver NAME": (["driver", name, "--csv"], lag(f"lower(name) = lower('{name}')", KEY + ", coalesce(driver_id, 0)")),
    "driver --id": (["driver", "--id", str(driver_id), "--csv"], lag(f"driver_id = {driver_id}")),
    "records": (["records", board, "--csv"], f"SELECT * EXCLUDE (entry) FROM records WHERE {where} ORDER BY observed_at"),
    "changes --since": (
        ["changes", "--since", week.isoformat() + "Z", "--csv"],
        f"""SELECT valid_from, track_id, class_id, track, size, size_change, gone, name, laptime FROM (SELECT *, size::BIGINT - lag(size)
        OVER (PARTITION BY {KEY} ORDER BY valid_from) AS size_change FROM board_versions) WHERE valid_from >= TIMESTAMP '{week}'""",
    ),
    "stats": (
        ["stats"],
        "SELECT (SELECT count(*) FROM archive_rows), (SELECT count(*) FROM (SELECT DISTINCT track_id, class_id FROM archive_rows "
        "WHERE position = 0)), (SELECT count(*) FROM (SELECT observed_at, count(*) FROM archive_rows WHERE position = 0 GROUP BY 1))",
    ),
}
QUESTIONS |= {name: (["sql", statement, "--format", "csv"], statement) for name, statement in STATEMENTS.items()}

rows = duck.execute("SELECT count(*) FROM entries").fetchone()[0]
print(f"{rows} entries, {len(files)} files, {sum(os.path.getsize(it) for it in files) / 1e6:.0f} MB; board {board}, {day}, driver {driver_id}")
print(f"{'question':18} {'r3e-archive':>12} {'DuckDB':>8} {'ratio':>6} {'peak MB':>8}")
for question, (arguments, statement) in QUESTIONS.items():
    best, theirs, peak = 1e9, 1e9, 0
    for _ in range(3):
        seconds, memory, _ = ours(*arguments)
        best, peak = min(best, seconds), max(peak, memory)
        begun = time.monotonic()
        duck.execute(statement).fetchall()
        theirs = min(theirs, time.monotonic() - begun)
    print(f"{question:18} {best:12.3f} {theirs:8.3f} {best / theirs:6.2f} {peak:8.0f}", flush=True)
print(f"DuckDB and Python: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most")
