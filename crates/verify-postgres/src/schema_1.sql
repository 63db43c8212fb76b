-- What the database is, in one row. No epoch: it was made just now, or its data was lost.
CREATE TABLE meta (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  version integer NOT NULL,
  needs integer NOT NULL,
  epoch bytea,
  made bigint NOT NULL DEFAULT 0,
  accepted boolean NOT NULL DEFAULT false
);
INSERT INTO meta (version, needs) VALUES (0, 0);

-- A service: locked first, it gives the order. Its last numbers; events that were not acknowledged and their bytes; bytes of all
-- else that it holds.
CREATE TABLE lane (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  service text NOT NULL UNIQUE,
  version bigint NOT NULL DEFAULT 0,
  seq bigint NOT NULL DEFAULT 0,
  events bigint NOT NULL DEFAULT 0,
  bytes bigint NOT NULL DEFAULT 0,
  held bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- The last batch of each process in each lane, by which it learns what became of one.
CREATE TABLE batch (
  process bytea NOT NULL,
  lane bigint NOT NULL,
  number bigint NOT NULL,
  at bigint NOT NULL,
  PRIMARY KEY (lane, process)
) WITH (fillfactor = 50);

-- `gone`: the minute from which it may be dropped. It is coarse so that a charge within it changes no index.
CREATE TABLE counter (
  lane bigint NOT NULL,
  key bytea NOT NULL,
  value bytea NOT NULL,
  gone bigint NOT NULL,
  PRIMARY KEY (lane, key)
) WITH (fillfactor = 80);
-- Not for who looks for a key: as long as the rows are not counted a server takes it for as good as the key's own, and reads the
-- whole lane.
CREATE INDEX counter_gone ON counter (lane, gone) WHERE gone IS NOT NULL;

CREATE TABLE claim (
  lane bigint NOT NULL,
  key bytea NOT NULL,
  value bytea NOT NULL,
  gone bigint NOT NULL,
  PRIMARY KEY (lane, key)
);
CREATE INDEX claim_gone ON claim (lane, gone) WHERE gone IS NOT NULL;

-- `ends` and `gone` are null for a durable one. `due` is when it wants a look, or until when it is put off.
CREATE TABLE record (
  lane bigint NOT NULL,
  key bytea NOT NULL,
  value bytea NOT NULL,
  ends bigint,
  gone bigint,
  due bigint,
  put_off integer NOT NULL DEFAULT 0,
  fingerprint smallint NOT NULL,
  seal smallint,
  PRIMARY KEY (lane, key)
) WITH (fillfactor = 70);
-- What is sealed does not shrink, and is read whole each time.
ALTER TABLE record ALTER COLUMN value SET STORAGE EXTERNAL;
CREATE INDEX record_gone ON record (lane, gone) WHERE gone IS NOT NULL;
CREATE INDEX record_due ON record (lane, due, key) WHERE due IS NOT NULL;
CREATE INDEX record_durable ON record (fingerprint, seal, lane, key) WHERE ends IS NULL AND seal IS NOT NULL;

CREATE TABLE event (
  lane bigint NOT NULL,
  seq bigint NOT NULL,
  value bytea NOT NULL,
  PRIMARY KEY (lane, seq)
);

CREATE TABLE lease (
  work smallint NOT NULL,
  service text NOT NULL,
  holder bytea NOT NULL,
  until bigint NOT NULL,
  PRIMARY KEY (work, service)
);
