-- Which server was last seen to hold it: its system identifier and its timeline, which a copy that takes over begins anew. And
-- since when, where that is another than before.
ALTER TABLE meta ADD COLUMN system bigint, ADD COLUMN timeline bigint, ADD COLUMN moved bigint;
