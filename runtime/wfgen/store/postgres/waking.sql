-- Time is the database's, in seconds since the epoch: the clocks of the processes may differ.
CREATE OR REPLACE FUNCTION now_seconds() RETURNS double precision
LANGUAGE sql VOLATILE AS $$ SELECT extract(epoch FROM clock_timestamp())::double precision $$;

-- Tell the processes what there is to look at, as in ANY_CHANGE. Whoever tells is named, so that it can ignore itself.
CREATE OR REPLACE FUNCTION announce(changes text) RETURNS void
LANGUAGE sql VOLATILE AS $$
    SELECT pg_notify(left('wfgen_' || current_schema(), 63),
        coalesce(current_setting('wfgen.origin', true), '') || ' ' || changes)
$$;

-- Nobody is left asleep for whom something has come. A pause ends by a request to cancel the run alone.
CREATE OR REPLACE FUNCTION message_came() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE runs SET wake_at = 0
        WHERE run = NEW.run AND wake_at > 0 AND (status <> 'paused' OR NEW.kind = 'cancel');
    PERFORM announce(CASE WHEN owner IS NULL THEN 'runs' ELSE 'messages' END) FROM runs WHERE run = NEW.run;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER messages_wake AFTER INSERT ON messages FOR EACH ROW EXECUTE FUNCTION message_came();

-- Whoever works jobs hears of those that are to be done, and of those that are to be stopped.
CREATE OR REPLACE FUNCTION job_changed() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM announce('jobs');
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER jobs_queued AFTER INSERT OR UPDATE OF status, cancel_requested ON jobs FOR EACH ROW
    WHEN (NEW.status = 'queued' OR NEW.cancel_requested) EXECUTE FUNCTION job_changed();
