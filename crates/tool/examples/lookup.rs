//! `lookup [BTF [NAMES]]`: how many of the names (one a line; 100 usual kernel types if no file
//! is given) are names of types. Made to be timed as a whole process.

use std::error::Error;
use std::io::Write;

use bpfsys::KernelBtf;
use btf::Btf;

const NAMES: &str = "
task_struct sk_buff net_device file inode dentry super_block vm_area_struct mm_struct page
folio cred user_namespace pid pid_namespace nsproxy signal_struct sighand_struct files_struct
fs_struct path vfsmount address_space kiocb iov_iter bio request request_queue gendisk
block_device sock socket tcp_sock udp_sock inet_sock inet_connection_sock request_sock sock_common
iphdr ipv6hdr tcphdr udphdr ethhdr xdp_md xdp_buff __sk_buff bpf_sock bpf_sock_ops bpf_prog
bpf_map bpf_link bpf_prog_aux bpf_map_ops bpf_insn bpf_attr bpf_func_proto bpf_verifier_env
bpf_reg_state btf btf_type btf_header cgroup cgroup_subsys_state css_set mem_cgroup rq
sched_entity cfs_rq rt_rq task_group hrtimer timer_list work_struct workqueue_struct
delayed_work rcu_head list_head hlist_node rb_node rb_root xarray mutex
spinlock_t atomic_t refcount_t wait_queue_head completion pt_regs perf_event
perf_event_attr trace_event_call module kobject device device_driver bus_type class irq_desc
pci_dev usb_device
";

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let path = args.next().unwrap_or_else(|| KernelBtf::VMLINUX.into());
    let names = match args.next() {
        Some(list) => std::fs::read_to_string(list)?,
        None => NAMES.to_owned(),
    };
    let (kernel, file);
    let bytes: &[u8] = if path == KernelBtf::VMLINUX {
        kernel = KernelBtf::vmlinux()?;
        &kernel
    } else {
        file = std::fs::read(path)?;
        &file
    };
    let btf = Btf::parse(bytes)?;
    let queries: Vec<_> = names
        .split_whitespace()
        .map(|name| (name.as_bytes(), None))
        .collect();
    let found = btf.find_many(&queries).iter().flatten().count();
    writeln!(
        std::io::stdout(),
        "{found} of {} names found",
        queries.len()
    )?;
    Ok(())
}
