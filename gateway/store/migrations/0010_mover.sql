-- Who else moves VMs of a host by itself, such as DRS; empty where nobody does.
alter table host add column mover text not null default '';
