-- What the file is, in one row. No epoch: it was made just now, or its data was lost.
CREATE TABLE meta (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  needs INTEGER NOT NULL,
  epoch BLOB,
  made INTEGER NOT NULL,
  accepted INTEGER NOT NULL
) STRICT;
INSERT INTO meta VALUES (1, 0, NULL, 0, 0);

-- A service: its order, and the last numbers that it gave. Events that were not acknowledged, and their bytes.
CREATE TABLE lane (
  id INTEGER PRIMARY KEY,
  service TEXT NOT NULL UNIQUE,
  version INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  events INTEGER NOT NULL,
  bytes INTEGER NOT NULL
) STRICT;

-- The last batch of each process, by which it learns what became of one.
CREATE TABLE batch (
  process BLOB PRIMARY KEY,
  number INTEGER NOT NULL,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- `gone`: the minute from which it may be dropped. It is coarse so that a charge within it touches no index.
CREATE TABLE counter (
  lane INTEGER NOT NULL,
  key BLOB NOT NULL,
  value BLOB NOT NULL,
  gone INTEGER NOT NULL,
  PRIMARY KEY (lane, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX counter_gone ON counter (gone);

CREATE TABLE claim (
  lane INTEGER NOT NULL,
  key BLOB NOT NULL,
  value BLOB NOT NULL,
  gone INTEGER NOT NULL,
  PRIMARY KEY (lane, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX claim_gone ON claim (gone);

-- `ends` and `gone` are null for a durable one. `due` is when it wants a look, or until when it is put off.
CREATE TABLE record (
  id INTEGER PRIMARY KEY,
  lane INTEGER NOT NULL,
  key BLOB NOT NULL,
  value BLOB NOT NULL,
  ends INTEGER,
  gone INTEGER,
  due INTEGER,
  put_off INTEGER NOT NULL,
  fingerprint INTEGER NOT NULL,
  seal INTEGER,
  UNIQUE (lane, key)
) STRICT;
CREATE INDEX record_gone ON record (gone) WHERE gone IS NOT NULL;
CREATE INDEX record_due ON record (lane, due, key) WHERE due IS NOT NULL;
CREATE INDEX record_durable ON record (fingerprint, seal, lane, key) WHERE ends IS NULL AND seal IS NOT NULL;

CREATE TABLE event (
  lane INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (lane, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE lease (
  work INTEGER NOT NULL,
  service TEXT NOT NULL,
  holder BLOB NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (work, service)
) STRICT, WITHOUT ROWID;
