"""Reads an archive in a folder by other engines: open_format.py FOLDER TRACK CLASS FILE... prints what they find as JSON."""
import json
import sys

import datafusion
import duckdb

folder, track, klass, *files = sys.argv[1:]
queries = {
    "rows": "SELECT count(*) FROM {t} WHERE position > 0",
    "versions": "SELECT count(*) FROM {t} WHERE position = 0",
    "latest": f"""SELECT position, name, laptime_ms, CAST(observed_at AS VARCHAR) FROM {{t}} WHERE track_id = {track} AND class_id = {klass}
        AND position > 0 AND observed_at = (SELECT max(observed_at) FROM {{t}} WHERE track_id = {track} AND class_id = {klass}
        AND position = 0) ORDER BY position""",
    "nights": "SELECT count(DISTINCT night) FROM {t}",
}
duck = duckdb.connect()
duck.execute(f"CREATE VIEW listed AS SELECT * FROM read_parquet({files}, hive_partitioning = false)")
nights = f"{folder}/night=*/*.parquet"
fusion = datafusion.SessionContext()
for number, file in enumerate(files):
    fusion.register_parquet(f"file{number}", file)
fusion.sql("CREATE VIEW listed AS " + " UNION ALL ".join(f"SELECT * FROM file{number}" for number in range(len(files))))
is_whole = all("/night=" in file for file in files)
if is_whole:
    duck.execute(f"CREATE VIEW nights AS SELECT * FROM read_parquet('{nights}', hive_partitioning = true)")
    fusion.sql(f"CREATE EXTERNAL TABLE nights STORED AS PARQUET PARTITIONED BY (night) LOCATION '{folder}/'")


def by_fusion(query):
    table = fusion.sql(query).to_arrow_table()
    return [list(row) for row in zip(*(column.to_pylist() for column in table.columns))]


engines = {"duckdb": lambda query: [list(row) for row in duck.execute(query).fetchall()], "datafusion": by_fusion}
tables = {"listed": ["rows", "versions", "latest"]}
if is_whole:
    tables["nights"] = list(queries)
found = {
    engine: {table: {name: run(queries[name].format(t=table)) for name in names} for table, names in tables.items()}
    for engine, run in engines.items()
}
print(json.dumps(found))
