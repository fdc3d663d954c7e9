create table if not exists host (
  name text primary key, cpus int, ram_mib int, reachable int default 1, frozen int default 0);
create table if not exists vm (
  vm text, host text, name text, cpu int, ram_mib int, state text, task text, volume text,
  datastore text, arriving int default 0, boots int default 0, deaf int default 0,
  primary key (vm, host));
create table if not exists volume (
  place text, name text, bytes int, primary key (place, name));
create table if not exists job (
  task text, step text, kind text, vm text, source text, target text, volume text, new_volume text,
  starts real, ends real, state text default 'running', primary key (task, step));
create table if not exists call (
  n integer primary key, at real, host text, verb text, vm text, task text, pid int);
create table if not exists change (
  n integer primary key, at real, host text, vm text, what text);
create table if not exists fault (
  n integer primary key, host text, verb text, kind text, late int, times int);
create table if not exists ending (fault int primary key, vm text, what text);
create table if not exists clock (one int primary key, ahead real);
insert or ignore into clock values (1, 0);
