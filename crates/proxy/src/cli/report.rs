//! The command line as `/server_info` shows it. Follows `envoy.admin.v3.CommandLineOptions`.

use serde_json::{Value, json};

use super::{Common, Mode, no_effect::NoEffect};

impl Common {
    /// Envoy's field names in Envoy's order.
    pub fn command_line_options(&self) -> Value {
        let path = |path: &Option<std::path::PathBuf>| {
            path.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let NoEffect {
            base_id_path,
            parent_shutdown_time_s,
            skip_hot_restart_on_no_parent,
            skip_hot_restart_parent_stats,
            socket_path,
            socket_mode,
            drain_strategy,
            cpuset_threads,
            local_address_ip_version,
            reject_unknown_dynamic_fields,
            ignore_unknown_dynamic_fields,
            disable_extensions,
            enable_mutex_tracing,
            enable_fine_grain_logging,
            log_stacktrace_single_entry,
            enable_core_dump,
            stats_tag,
        } = &self.no_effect;
        let disabled_extensions: Vec<&str> =
            disable_extensions.split(',').filter(|name| !name.is_empty()).collect();
        let drain_strategy = if drain_strategy == "immediate" { "Immediate" } else { "Gradual" };
        let mode = match self.mode {
            Mode::Serve => "Serve",
            Mode::Validate => "Validate",
            Mode::InitOnly => "InitOnly",
        };
        let mut options = json!({
            "base_id": self.base_id.to_string(),
            "concurrency": self.workers(),
            "config_path": path(&self.config_path),
            "config_yaml": self.config_yaml,
            "allow_unknown_static_fields": self.allow_unknown_static_fields,
            "admin_address_path": path(&self.admin_address_path),
            "local_address_ip_version": local_address_ip_version,
            "log_level": self.log_level,
            "component_log_level": self.component_log_level,
            "log_format": self.log_format,
            "log_path": path(&self.log_path),
            "service_cluster": text(&self.service_cluster),
            "service_node": text(&self.service_node),
            "service_zone": text(&self.service_zone),
            "file_flush_interval": seconds(self.file_flush_interval_msec),
            "drain_time": format!("{}s", self.drain_time_s),
            "parent_shutdown_time": format!("{parent_shutdown_time_s}s"),
            "mode": mode,
        });
        // In two parts, because the macro's recursion is bounded.
        let rest = json!({
            "disable_hot_restart": self.disable_hot_restart,
            "enable_mutex_tracing": enable_mutex_tracing,
            "restart_epoch": self.restart_epoch,
            "cpuset_threads": cpuset_threads,
            "reject_unknown_dynamic_fields": reject_unknown_dynamic_fields,
            "log_format_escaped": self.log_format_escaped,
            "disabled_extensions": disabled_extensions,
            "ignore_unknown_dynamic_fields": ignore_unknown_dynamic_fields,
            "use_dynamic_base_id": self.use_dynamic_base_id,
            "base_id_path": base_id_path,
            "drain_strategy": drain_strategy,
            "enable_fine_grain_logging": enable_fine_grain_logging,
            "socket_path": socket_path,
            "socket_mode": u32::from_str_radix(socket_mode, 8).unwrap_or(0),
            "enable_core_dump": enable_core_dump,
            "stats_tag": stats_tag,
            "skip_hot_restart_on_no_parent": skip_hot_restart_on_no_parent,
            "skip_hot_restart_parent_stats": skip_hot_restart_parent_stats,
            "skip_deprecated_logs": self.skip_deprecated_logs,
            "file_flush_min_size": self.file_flush_min_size_kb,
            "log_stacktrace_single_entry": log_stacktrace_single_entry,
        });
        if let (Value::Object(options), Value::Object(rest)) = (&mut options, rest) {
            options.extend(rest);
        }
        options
    }
}

/// Milliseconds as protobuf prints a duration.
fn seconds(milliseconds: u32) -> String {
    match (milliseconds / 1000, milliseconds % 1000) {
        (seconds, 0) => format!("{seconds}s"),
        (seconds, rest) => format!("{seconds}.{rest:03}s"),
    }
}
