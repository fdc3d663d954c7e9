-- A session begins with a password and ends for good at ends_at. A token that is exchanged for
-- another one gives both columns on, and a log-out ends all tokens of the session. The defaults
-- serve processes of the version before, which know neither column.
alter table token
  add column session_id uuid not null default gen_random_uuid(),
  add column ends_at timestamptz not null default clock_timestamp() + interval '12 hours';
update token set ends_at = expires_at;
create index token_session on token (session_id);
