-- A way out of every task: failures of our own are counted, a cancellation is on record before it
-- is acted on, what a task waits for is shown, and what a cancelled task could not look at is taken
-- up again when its hosts answer (`left_open`).
alter table task
  add column failures integer not null default 0,
  add column lapses integer not null default 0,
  add column cancel_at timestamptz,
  add column cancel_by text not null default '',
  add column ends_by timestamptz,
  add column resolved_as text not null default '',
  add column waiting text not null default '',
  add column waiting_since timestamptz,
  add column waiting_told text not null default '',
  add column left_open boolean not null default false;
create index task_left_open on task (n) where left_open;
