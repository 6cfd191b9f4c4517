//! This host's CPU, memory, disks and network, without an agent: OpenTelemetry's `system.*` names with the attributes that
//! the Collector's hostmetrics receiver gives them, so that its dashboards and rules work.
//!
//! A reading that fails (a container without `/proc/diskstats`, say) is left out; the others go on.

use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, ResourceMetrics};
use procfs::{Current, CurrentSI, WithCurrentSystemInfo};

use crate::otlp_out::{self, gauge, point, sum};

/// Most mount points, disks or network devices reported; a host with more is a container farm, where the rest is noise.
const DEVICES_MAX: usize = 64;

/// File systems that are not disks.
const VIRTUAL_FILE_SYSTEMS: [&str; 22] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "securityfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
];

/// The host's name, as the kernel has it.
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// One reading of everything, as OTLP. `at_ns` is now.
pub fn read(hostname: &str, at_ns: u64) -> ResourceMetrics {
    let mut metrics = Vec::new();
    cpu(at_ns, &mut metrics);
    load(at_ns, &mut metrics);
    memory(at_ns, &mut metrics);
    file_systems(at_ns, &mut metrics);
    disks(at_ns, &mut metrics);
    network(at_ns, &mut metrics);
    let from = otlp_out::resource(&[("host.name", hostname), ("os.type", "linux")]);
    otlp_out::resource_metrics(from, "binnacle.host", metrics)
}

fn cpu(at_ns: u64, out: &mut Vec<Metric>) {
    let Ok(stat) = procfs::KernelStats::current() else { return };
    let ticks_per_second = procfs::ticks_per_second() as f64;
    let start_ns = stat.btime.saturating_mul(1_000_000_000);
    let mut points = Vec::new();
    for (index, cpu) in stat.cpu_time.iter().enumerate() {
        let name = format!("cpu{index}");
        for (state, ticks) in [
            ("user", cpu.user),
            ("nice", cpu.nice),
            ("system", cpu.system),
            ("idle", cpu.idle),
            ("wait", cpu.iowait.unwrap_or(0)),
            ("interrupt", cpu.irq.unwrap_or(0)),
            ("softirq", cpu.softirq.unwrap_or(0)),
            ("steal", cpu.steal.unwrap_or(0)),
        ] {
            let seconds = ticks as f64 / ticks_per_second;
            points.push(point(at_ns, start_ns, seconds, &[("cpu", &name), ("state", state)]));
        }
    }
    out.push(sum("system.cpu.time", "s", "Seconds each CPU spent in each state.", true, points));
    let uptime = at_ns.saturating_sub(start_ns) as f64 / 1e9;
    out.push(gauge("system.uptime", "s", "Time since boot.", vec![point(at_ns, 0, uptime, &[])]));
}

fn load(at_ns: u64, out: &mut Vec<Metric>) {
    let Ok(load) = procfs::LoadAverage::current() else { return };
    for (name, value) in [("1m", load.one), ("5m", load.five), ("15m", load.fifteen)] {
        let points = vec![point(at_ns, 0, f64::from(value), &[])];
        out.push(gauge(&format!("system.cpu.load_average.{name}"), "{thread}", "Average CPU load.", points));
    }
}

fn memory(at_ns: u64, out: &mut Vec<Metric>) {
    let Ok(memory) = procfs::Meminfo::current() else { return };
    let slab = memory.s_reclaimable.unwrap_or(0);
    let cached = memory.cached;
    // As `free` counts: what can be given back at once is not used.
    let used = memory.mem_total.saturating_sub(memory.mem_free + memory.buffers + cached + slab);
    let states = [("used", used), ("free", memory.mem_free), ("cached", cached + slab), ("buffered", memory.buffers)];
    let points = states.iter().map(|(state, bytes)| point(at_ns, 0, *bytes as f64, &[("state", state)])).collect();
    out.push(sum("system.memory.usage", "By", "Bytes of memory by state.", false, points));
    let limit = vec![point(at_ns, 0, memory.mem_total as f64, &[])];
    out.push(sum("system.memory.limit", "By", "Bytes of memory in all.", false, limit));
    let swap = [("used", memory.swap_total.saturating_sub(memory.swap_free)), ("free", memory.swap_free)];
    let points = swap.iter().map(|(state, bytes)| point(at_ns, 0, *bytes as f64, &[("state", state)])).collect();
    out.push(sum("system.paging.usage", "By", "Bytes of swap by state.", false, points));
}

fn file_systems(at_ns: u64, out: &mut Vec<Metric>) {
    let Ok(mounts) = procfs::process::Process::myself().and_then(|me| me.mountinfo()) else { return };
    let mut bytes = Vec::new();
    let mut inodes = Vec::new();
    let mut seen_devices = Vec::new();
    for mount in mounts {
        let device = mount.mount_source.clone().unwrap_or_default();
        // A device mounted many times (bind mounts) is one disk.
        if VIRTUAL_FILE_SYSTEMS.contains(&mount.fs_type.as_str()) || seen_devices.contains(&mount.majmin) {
            continue;
        }
        if seen_devices.len() >= DEVICES_MAX {
            break;
        }
        let Ok(stat) = rustix::fs::statvfs(&mount.mount_point) else { continue };
        if stat.f_blocks == 0 {
            continue;
        }
        seen_devices.push(mount.majmin.clone());
        let mount_point = mount.mount_point.display().to_string();
        let mode = if mount.mount_options.contains_key("ro") { "ro" } else { "rw" };
        let push = |to: &mut Vec<NumberDataPoint>, state: &str, value: u64| {
            let pairs = [
                ("device", device.as_str()),
                ("mode", mode),
                ("mountpoint", &mount_point),
                ("type", &mount.fs_type),
                ("state", state),
            ];
            to.push(point(at_ns, 0, value as f64, &pairs));
        };
        push(&mut bytes, "used", stat.f_blocks.saturating_sub(stat.f_bfree).saturating_mul(stat.f_frsize));
        push(&mut bytes, "free", stat.f_bavail.saturating_mul(stat.f_frsize));
        push(&mut bytes, "reserved", stat.f_bfree.saturating_sub(stat.f_bavail).saturating_mul(stat.f_frsize));
        push(&mut inodes, "used", stat.f_files.saturating_sub(stat.f_ffree));
        push(&mut inodes, "free", stat.f_ffree);
    }
    out.push(sum("system.filesystem.usage", "By", "Bytes of file systems by state.", false, bytes));
    out.push(sum("system.filesystem.inodes.usage", "{inode}", "Inodes of file systems by state.", false, inodes));
}

fn disks(at_ns: u64, out: &mut Vec<Metric>) {
    let Ok(disks) = procfs::diskstats() else { return };
    /// Bytes in a sector of `/proc/diskstats`, whatever the disk's own sectors are.
    const SECTOR_BYTES: u64 = 512;
    let mut io = Vec::new();
    let mut operations = Vec::new();
    let real = |name: &str| !["loop", "ram", "zram", "sr", "dm-"].iter().any(|prefix| name.starts_with(prefix));
    for disk in disks.iter().filter(|disk| real(&disk.name)).take(DEVICES_MAX) {
        for (direction, sectors, count) in
            [("read", disk.sectors_read, disk.reads), ("write", disk.sectors_written, disk.writes)]
        {
            let pairs = [("device", disk.name.as_str()), ("direction", direction)];
            io.push(point(at_ns, 0, sectors.saturating_mul(SECTOR_BYTES) as f64, &pairs));
            operations.push(point(at_ns, 0, count as f64, &pairs));
        }
    }
    out.push(sum("system.disk.io", "By", "Bytes transferred.", true, io));
    out.push(sum("system.disk.operations", "{operation}", "Operations.", true, operations));
}

fn network(at_ns: u64, out: &mut Vec<Metric>) {
    let Ok(devices) = procfs::net::dev_status() else { return };
    let mut io = Vec::new();
    let mut errors = Vec::new();
    let mut dropped = Vec::new();
    let mut devices: Vec<_> = devices.into_values().collect();
    devices.sort_by(|a, b| a.name.cmp(&b.name));
    for device in devices.iter().take(DEVICES_MAX) {
        for (direction, bytes, failed, lost) in [
            ("receive", device.recv_bytes, device.recv_errs, device.recv_drop),
            ("transmit", device.sent_bytes, device.sent_errs, device.sent_drop),
        ] {
            let pairs = [("device", device.name.as_str()), ("direction", direction)];
            io.push(point(at_ns, 0, bytes as f64, &pairs));
            errors.push(point(at_ns, 0, failed as f64, &pairs));
            dropped.push(point(at_ns, 0, lost as f64, &pairs));
        }
    }
    out.push(sum("system.network.io", "By", "Bytes transferred.", true, io));
    out.push(sum("system.network.errors", "{error}", "Errors.", true, errors));
    out.push(sum("system.network.dropped", "{packet}", "Packets dropped.", true, dropped));
}

/// The process' own memory and CPU time, for `/metrics` and for the series of the appliance.
pub fn own_process(at_ns: u64) -> Vec<Metric> {
    let Ok(stat) = procfs::process::Process::myself().and_then(|me| me.stat()) else { return Vec::new() };
    let cpu_seconds = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
    let resident = stat.rss_bytes().get() as f64;
    vec![
        sum("process.cpu.time", "s", "CPU time of the appliance.", true, vec![point(at_ns, 0, cpu_seconds, &[])]),
        sum("process.memory.usage", "By", "Resident memory.", false, vec![point(at_ns, 0, resident, &[])]),
    ]
}
