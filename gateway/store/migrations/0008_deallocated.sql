-- Whether a VM that is off was seen to have given its compute back; false where nobody has looked.
alter table vm add column deallocated boolean not null default false;
