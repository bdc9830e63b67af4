# Take back what install-service.ps1 did: task, firewall rules, account. The node's folder stays.
#Requires -RunAsAdministrator
param([ValidatePattern('^[A-Za-z0-9][A-Za-z0-9._-]{0,19}$')][string]$Account = 'fedscreen-node')
$ErrorActionPreference = 'Stop'
$root = Split-Path -Parent $PSScriptRoot
Write-Host 'The database key of this node opens on this computer only. Make a backup and a recovery file first.'
if ((Read-Host 'Remove task, rules and account? Type yes') -ne 'yes') { exit 1 }
Unregister-ScheduledTask -TaskName 'fedscreen-node' -Confirm:$false -ErrorAction SilentlyContinue
Remove-NetFirewallRule -Group 'fedscreen-node' -ErrorAction SilentlyContinue
Remove-LocalUser -Name $Account -ErrorAction SilentlyContinue
& icacls (Join-Path $root 'node') /grant:r '*S-1-5-32-544:(OI)(CI)F' | Out-Null
Write-Host 'Removed. The folder "node" is left for administrators.'
