-- What the hypervisor measured last of a host's use; null where nothing is measured. Nothing is
-- promised by it.
alter table host add column measured_cpu_mhz integer, add column measured_memory_mib bigint;
